package checkpoint

import (
	"fmt"
	"math"
	"slices"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
)

// dims takes dimensions whose product is in bounds.
func (d *headerDecoder) dims() []int {
	n := d.r.Array()
	if n > maxRank {
		d.r.Fail("rank %d, the limit is %d", n, maxRank)
		return nil
	}
	dims := slices.Grow([]int(nil), n)
	count := int64(1)
	for range n {
		x := d.r.IntIn(1, maxElements)
		if count > maxElements/x {
			d.r.Fail("more than %d elements", int64(maxElements))
			return nil
		}
		count *= x
		dims = append(dims, int(x))
	}
	return dims
}

func (d *headerDecoder) dtype() array.DType {
	t, err := array.ParseDType(d.r.String(pack.MaxName))
	if err != nil {
		d.r.Fail("%v", err)
	}
	return t
}

func (d *headerDecoder) tensor(name string) tensor {
	return tensor{name: name, dtype: d.dtype(), dims: d.dims()}
}

func (d *headerDecoder) tensors() {
	r := d.r
	n := d.array()
	tensors := make([]tensor, 0, n)
	for i := range n {
		r.ArrayOf(3)
		tensors = append(tensors, d.tensor(r.Name()))
		if i > 0 && tensors[i-1].compare(tensors[i]) >= 0 {
			r.Fail("tensor %v after %v: want them sorted and different", tensors[i], tensors[i-1])
		}
	}
	d.h.tensors = tensors
}

func (d *headerDecoder) encoding() encoding {
	e, err := parseEncoding(d.r.String(pack.MaxName))
	if err != nil {
		d.r.Fail("%v", err)
	}
	return e
}

// blob takes the chunks of one blob, which must have the offsets of the layout.
func (d *headerDecoder) blob() blob {
	r := d.r
	n := d.array()
	b := slices.Grow(blob(nil), n)
	for range n {
		if len(b) > 0 && b[len(b)-1].n != chunkBytes {
			r.Fail("a chunk of %d bytes, only the last may have less than %d", b[len(b)-1].n, chunkBytes)
		}
		r.ArrayOf(3)
		off, n := r.Int(), r.IntIn(1, chunkBytes)
		if d.layout.end > math.MaxInt64/2 {
			r.Fail("the data is too long")
		}
		if r.Err() != nil {
			return nil
		}
		c := d.layout.next(n)
		if off != c.off {
			r.Fail("a chunk at offset %d, want %d", off, c.off)
		}
		crc := r.Uint()
		if crc > math.MaxUint32 {
			r.Fail("checksum %d does not fit 32 bits", crc)
		}
		c.crc = uint32(crc)
		b = append(b, c)
	}
	return b
}

func (d *headerDecoder) parts() {
	r, h := d.r, d.h
	n := d.array()
	h.parts = make([]part, 0, n)
	for range n {
		r.ArrayOf(4)
		p := part{number: int(r.IntIn(0, int64(len(h.tensors))-1)), encoding: d.encoding(), index: d.blob(), values: d.blob()}
		if r.Err() != nil {
			return
		}
		p.tensor = h.tensors[p.number]
		if err := p.checkLengths(); err != nil {
			r.Fail("%v", err)
		}
		h.parts = append(h.parts, p)
	}
}

// setParts takes tensors of one part each, which belong to owner.
func (d *headerDecoder) setParts(owner string) []part {
	r := d.r
	n := d.array()
	parts := slices.Grow([]part(nil), n)
	last := ""
	var total proportion
	for range n {
		r.ArrayOf(6)
		p := part{tensor: d.tensor(d.next(&last)), encoding: d.encoding(), index: d.blob(), values: d.blob()}
		if r.Err() != nil {
			return nil
		}
		if err := p.checkLengths(); err != nil {
			r.Fail("%s: %v", owner, err)
		}
		if !p.encoding.whole() {
			r.Fail("%s: tensor %v: %v is not an encoding of a whole tensor", owner, p.tensor, p.encoding)
		}
		parts = append(parts, p)
		total.add(p.tensor)
		total.stored += p.len()
	}
	if err := total.check(); err != nil {
		r.Fail("%s: %v", owner, err)
	}
	return parts
}

// checkLengths returns an error unless index and values have lengths that are possible for the
// tensor. Lengths that depend on the content are checked with the content.
func (p part) checkLengths() error {
	n, size := int64(p.tensor.len()), int64(p.tensor.size())
	bits, all := int64(array.Bit.Bytes(int(n))), p.tensor.bytes()
	index, values, e := p.index.len(), p.values.len(), p.encoding
	ok := p.dtype != array.Bit && values%size == 0 && values <= all // of what is not dense
	switch e.kind {
	case dense:
		ok = index == 0 && values == all
	case bitmask:
		ok = ok && index == bits
	case index16:
		ok = ok && index == (n+runLength-1)/runLength*4+values/size*2
	case grouped:
		ok = ok && e.m > 0 && e.n > 0 && n%int64(e.m) == 0 && values == n/int64(e.m)*int64(e.n)*size
	case rest:
		ok = ok && index == 0
	case masked:
		ok = ok && index == bits && values == 0
	}
	if !ok {
		return fmt.Errorf("tensor %v: %d bytes of index and %d of values do not fit encoding %v", p.tensor, index, values, e)
	}
	return nil
}
