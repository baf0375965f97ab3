package checkpoint

import (
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// value reads a part that is a whole tensor.
func (c *Reader) value(p part) (array.Value, error) {
	v := p.encoding.value(p.tensor, make([]byte, p.index.len()), nil)
	v.Dims = slices.Clone(p.dims)
	if p.encoding.kind == dense { // aligned memory, so that a backend need not copy
		x, err := array.New(p.dtype, p.dims...)
		if err != nil {
			return v, damaged(c.at(p.values), "tensor %v: %v", p.tensor, err)
		}
		v.Values = x.Data
	} else {
		v.Values = make([]byte, p.values.len())
	}
	if err := c.read(p.index, v.Index); err != nil {
		return v, err
	}
	if err := c.read(p.values, v.Values); err != nil {
		return v, err
	}
	if len(v.Index) == 0 {
		v.Index = nil
	}
	if err := v.Check(); err != nil {
		return v, damaged(c.at(append(slices.Clip(p.index), p.values...)), "tensor %v: %v", p.tensor, err)
	}
	return v, nil
}

// assemble reads the parts of a tensor and puts them together.
func (c *Reader) assemble(e entry) (array.Value, error) {
	parts := make([]part, len(e.parts))
	for i, k := range e.parts {
		parts[i] = c.head.parts[k]
	}
	first, top := parts[0], parts[len(parts)-1]
	switch {
	case len(parts) == 1:
		return c.value(first)
	case top.encoding.sparse():
		s, err := c.stack(parts)
		if err != nil {
			return array.Value{}, err
		}
		return s.encode(e.encoding, e.stored)
	}
	x, err := c.whole(parts)
	if err != nil {
		return array.Value{}, err
	}
	v, err := e.encoding.encode(x)
	if err != nil {
		return v, damaged(c.at(first.values), "tensor %v: %v", first.tensor, err)
	}
	if int64(v.Stored()) != e.stored {
		return v, damaged(c.at(first.values), "tensor %v has %d elements, the table of contents says %d", first.tensor, v.Stored(), e.stored)
	}
	return v, nil
}

// whole puts together parts that store every element, and applies the mask after them if there is
// one.
func (c *Reader) whole(parts []part) (x array.Tensor, err error) {
	var mask *part
	if n := len(parts) - 1; parts[n].encoding.kind == masked {
		mask, parts = &parts[n], parts[:n]
	}
	if len(parts) == 1 {
		var v array.Value
		if v, err = c.value(parts[0]); err == nil {
			x, err = v.Decode()
		}
	} else {
		x, err = c.filled(parts)
	}
	if err != nil || mask == nil {
		return x, err
	}
	bits, err := c.value(part{tensor: tensor{mask.name, array.Bit, mask.dims}, values: mask.index})
	if err != nil {
		return x, err
	}
	w := wordsOf(x)
	for i := range w.len() {
		if bits.Values[i/8]>>(i%8)&1 == 0 {
			w.set(i, 0)
		}
	}
	return x, nil
}

// filled puts together a stack and the rest, the last part.
func (c *Reader) filled(parts []part) (array.Tensor, error) {
	last := len(parts) - 1
	s, err := c.stack(parts[:last])
	if err != nil {
		return array.Tensor{}, err
	}
	values := make([]byte, parts[last].values.len())
	if err := c.read(parts[last].values, values); err != nil {
		return array.Tensor{}, err
	}
	return s.fill(values)
}
