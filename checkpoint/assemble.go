package checkpoint

import (
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/graph"
)

// value reads a tensor that stands alone.
func (c *Reader) value(t tensor, f form, index, values blob) (graph.Value, error) {
	v := f.value(t, make([]byte, index.len()), nil)
	v.Dims = slices.Clone(t.dims)
	if f.kind == dense { // aligned memory, so that a backend need not copy
		x, err := graph.New(t.dtype, t.dims...)
		if err != nil {
			return v, damaged(c.at(values), "tensor %v: %v", t, err)
		}
		v.Values = x.Data
	} else {
		v.Values = make([]byte, values.len())
	}
	if err := c.read(index, v.Index); err != nil {
		return v, err
	}
	if err := c.read(values, v.Values); err != nil {
		return v, err
	}
	if len(v.Index) == 0 {
		v.Index = nil
	}
	if err := v.Check(); err != nil {
		return v, damaged(c.at(append(slices.Clip(index), values...)), "tensor %v: %v", t, err)
	}
	return v, nil
}

// assemble reads the parts of a tensor and puts them together.
func (c *Reader) assemble(e entry) (graph.Value, error) {
	t := c.head.tensors[e.tensor]
	first := c.head.parts[e.parts[0]]
	v, err := c.value(t, first.form, first.index, first.values)
	if err != nil || len(e.parts) == 1 {
		return v, err
	}
	sum, err := v.Decode()
	if err != nil {
		return v, err
	}
	w := wordsOf(sum)
	if first.form.kind == bitmask || first.form.kind == index16 {
		if err := c.noZeros(t, v, first); err != nil {
			return v, err
		}
	}
	for _, i := range e.parts[1:] {
		if err := c.add(w, t, c.head.parts[i]); err != nil {
			return v, err
		}
	}
	if v, err = e.form.encode(sum); err != nil {
		return v, damaged(c.at(first.values), "tensor %v: %v", t, err)
	}
	if int64(v.Stored()) != e.stored {
		return v, damaged(c.at(first.values), "tensor %v has %d elements, the table of contents says %d", t, v.Stored(), e.stored)
	}
	return v, nil
}

// add applies one more part to the elements put together so far.
func (c *Reader) add(sum words, t tensor, p part) error {
	switch p.form.kind {
	case masked:
		mask, err := c.value(tensor{t.name, graph.Bit, t.dims}, form{kind: dense}, nil, p.index)
		if err != nil {
			return err
		}
		for i := range sum.len() {
			if mask.Values[i/8]>>(i%8)&1 == 0 {
				sum.set(i, 0)
			}
		}
		return nil
	case rest:
		values := make([]byte, p.values.len())
		if err := c.read(p.values, values); err != nil {
			return err
		}
		from := words{values, sum.size}
		k := 0
		for i := range sum.len() {
			if sum.at(i) == 0 {
				if k < from.len() {
					sum.set(i, from.at(k))
				}
				k++
			}
		}
		if k != from.len() {
			return damaged(c.at(p.values), "tensor %v: the rest has %d elements, want %d", t, from.len(), k)
		}
		return nil
	}
	v, err := c.value(t, p.form, p.index, p.values)
	if err != nil {
		return err
	}
	x, err := v.Decode()
	if err != nil {
		return err
	}
	from := wordsOf(x)
	if err := c.noZeros(t, v, p); err != nil {
		return err
	}
	for i := range sum.len() {
		e := from.at(i)
		if e == 0 {
			continue
		}
		if sum.at(i) != 0 {
			return damaged(c.at(p.values), "tensor %v: two parts store element %d", t, i)
		}
		sum.set(i, e)
	}
	return nil
}

// noZeros refuses zeros stored in a part of a stack: in a sum they would be neither there nor not.
func (c *Reader) noZeros(t tensor, v graph.Value, p part) error {
	w := words{v.Values, v.DType.Bytes(1)}
	for i := range w.len() {
		if w.at(i) == 0 {
			return damaged(c.at(p.values)+int64(i*w.size), "tensor %v: a part of several stores a zero", t)
		}
	}
	return nil
}

func (m Meta) clone() Meta {
	m.Versions, m.Extra = maps.Clone(m.Versions), maps.Clone(m.Extra)
	m.Input.Shape, m.Input.Classes = slices.Clone(m.Input.Shape), slices.Clone(m.Input.Classes)
	m.Input.Mean, m.Input.Std = slices.Clone(m.Input.Mean), slices.Clone(m.Input.Std)
	return m
}
