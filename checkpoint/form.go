package checkpoint

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compressaware/cram/sdk/array"
)

// A form says how bytes stand for a tensor: an encoding of package graph, or one of two that only make sense after other parts.
type form struct {
	kind       kind
	n, m, axis int // of grouped
}

type kind uint8

const (
	dense   kind = iota
	bitmask      // as graph.Bitmask
	index16      // as graph.Index16
	grouped      // as graph.GroupNM
	rest         // Values: the elements that no earlier part stores, in order
	masked       // Index: a bit an element, of what the earlier parts give; what is 0 becomes zero
)

func (f form) String() string {
	if f.kind == grouped {
		return fmt.Sprintf("nm:%d:%d:%d", f.n, f.m, f.axis)
	}
	return [...]string{"dense", "bitmask", "index16", "", "rest", "mask"}[f.kind]
}

func parseForm(s string) (form, error) {
	for _, k := range []kind{dense, bitmask, index16, rest, masked} {
		if f := (form{kind: k}); f.String() == s {
			return f, nil
		}
	}
	f := form{kind: grouped}
	if parts := strings.Split(s, ":"); len(parts) == 4 {
		f.n, _ = strconv.Atoi(parts[1])
		f.m, _ = strconv.Atoi(parts[2])
		f.axis, _ = strconv.Atoi(parts[3])
	}
	if f.String() != s {
		return form{}, fmt.Errorf("unknown encoding %.64q", s)
	}
	return f, nil
}

// formOf returns the form of a checked value.
func formOf(v array.Value) form {
	switch v.Encoding {
	case array.Bitmask:
		return form{kind: bitmask}
	case array.Index16:
		return form{kind: index16}
	case array.GroupNM:
		return form{kind: grouped, n: v.N, m: v.M, axis: v.Axis}
	}
	return form{kind: dense}
}

// value returns the value of form f, none of rest or masked, with the given bytes. It is not checked.
func (f form) value(t tensor, index, values []byte) array.Value {
	v := array.Value{DType: t.dtype, Dims: t.dims, Index: index, Values: values}
	switch f.kind {
	case bitmask:
		v.Encoding = array.Bitmask
	case index16:
		v.Encoding = array.Index16
	case grouped:
		v.Encoding, v.N, v.M, v.Axis = array.GroupNM, f.n, f.m, f.axis
	}
	return v
}

// encode stores t, which must not change afterwards, in form f.
func (f form) encode(t array.Tensor) (array.Value, error) {
	switch f.kind {
	case bitmask:
		return t.Encode(array.Bitmask)
	case index16:
		return t.Encode(array.Index16)
	case grouped:
		return t.EncodeNM(f.n, f.m, f.axis)
	}
	return t.Encode(array.Dense)
}

// sparse reports whether a part of form f may be in a stack.
func (f form) sparse() bool { return f.kind == bitmask || f.kind == index16 }

// follows reports whether a part of form f makes sense after parts of which the last has form before: a stack goes on with sparse parts
// and ends with the rest, and a mask goes over what stores every element.
func (f form) follows(before form) bool {
	if f.kind == masked {
		return before.kind == dense || before.kind == rest
	}
	return before.sparse() && (f.sparse() || f.kind == rest)
}

// A proportion is what the tensors of a level, or of a state, take in the file and written out dense, in bytes.
type proportion struct{ stored, dense int64 }

func (p *proportion) add(t tensor) {
	p.dense = min(p.dense+int64(t.dtype.Bytes(array.Count(t.dims))), 1<<60)
}

// check refuses tensors that are next to nothing in the file: whoever loads them may write them out, and a small file of unknown
// origin must not take all of its memory.
func (p *proportion) check() error {
	if p.dense > 256<<20+1024*p.stored {
		return fmt.Errorf("its tensors take %d bytes written out, of which %d are stored; the limit is 256 MiB and 1,024 times what is stored (a bitmask stores more than an index16)", p.dense, p.stored)
	}
	return nil
}

// A tensor is a line of the header's table of tensors.
type tensor struct {
	name  string
	dtype array.DType
	dims  []int
}

// compare orders tensors by name, then by the name of the type, then by extents.
func (t tensor) compare(u tensor) int {
	return cmp.Or(cmp.Compare(t.name, u.name), cmp.Compare(t.dtype.String(), u.dtype.String()), slices.Compare(t.dims, u.dims))
}

func (t tensor) String() string { return fmt.Sprintf("%q %v%v", t.name, t.dtype, t.dims) }
