package checkpoint

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// A tensor is the name, the dtype and the dimensions of a stored tensor.
type tensor struct {
	name  string
	dtype array.DType
	dims  []int
}

// compare orders tensors by name, then by the name of the dtype, then by dimensions.
func (t tensor) compare(u tensor) int {
	return cmp.Or(cmp.Compare(t.name, u.name), cmp.Compare(t.dtype.String(), u.dtype.String()), slices.Compare(t.dims, u.dims))
}

func (t tensor) String() string { return fmt.Sprintf("%q %v%v", t.name, t.dtype, t.dims) }

// len returns the number of elements.
func (t tensor) len() int { return array.Count(t.dims) }

// size returns the bytes of one element, 1 for bits.
func (t tensor) size() int { return t.dtype.Bytes(1) }

// bytes returns the bytes of all elements, dense.
func (t tensor) bytes() int64 { return int64(t.dtype.Bytes(t.len())) }

// A proportion adds up how many bytes tensors take in the file, and how many when they are dense.
type proportion struct{ stored, dense int64 }

func (p *proportion) add(t tensor) { p.dense = min(p.dense+t.bytes(), 1<<60) }

// check returns an error when the tensors are much larger than what the file stores of them. A
// reader may make them dense, and a small file must not take all of its memory.
func (p *proportion) check() error {
	if p.dense > 256<<20+1024*p.stored {
		return fmt.Errorf("its tensors take %d bytes dense, and the file stores %d; the limit is 256 MiB and 1,024 times "+
			"what is stored (a bitmask stores more than an index16)", p.dense, p.stored)
	}
	return nil
}
