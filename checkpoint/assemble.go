package checkpoint

import (
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// value reads a tensor that stands alone.
func (c *Reader) value(t tensor, f form, index, values blob) (array.Value, error) {
	v := f.value(t, make([]byte, index.len()), nil)
	v.Dims = slices.Clone(t.dims)
	if f.kind == dense { // aligned memory, so that a backend need not copy
		x, err := array.New(t.dtype, t.dims...)
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
func (c *Reader) assemble(e entry) (array.Value, error) {
	t := c.head.tensors[e.tensor]
	parts := make([]part, len(e.parts))
	for i, k := range e.parts {
		parts[i] = c.head.parts[k]
	}
	first, top := parts[0], parts[len(parts)-1]
	switch {
	case len(parts) == 1:
		return c.value(t, first.form, first.index, first.values)
	case top.form.sparse():
		s, err := c.stack(t, parts)
		if err != nil {
			return array.Value{}, err
		}
		return s.encode(e.form, e.stored)
	}
	x, err := c.whole(t, parts)
	if err != nil {
		return array.Value{}, err
	}
	v, err := e.form.encode(x)
	if err != nil {
		return v, damaged(c.at(first.values), "tensor %v: %v", t, err)
	}
	if int64(v.Stored()) != e.stored {
		return v, damaged(c.at(first.values), "tensor %v has %d elements, the table of contents says %d", t, v.Stored(), e.stored)
	}
	return v, nil
}

// whole puts together parts that store every element, and applies the mask over them if there is one.
func (c *Reader) whole(t tensor, parts []part) (x array.Tensor, err error) {
	var mask *part
	if n := len(parts) - 1; parts[n].form.kind == masked {
		mask, parts = &parts[n], parts[:n]
	}
	if len(parts) == 1 {
		var v array.Value
		if v, err = c.value(t, parts[0].form, parts[0].index, parts[0].values); err == nil {
			x, err = v.Decode()
		}
	} else {
		x, err = c.filled(t, parts[:len(parts)-1], parts[len(parts)-1])
	}
	if err != nil || mask == nil {
		return x, err
	}
	keep, err := c.value(tensor{t.name, array.Bit, t.dims}, form{kind: dense}, nil, mask.index)
	if err != nil {
		return x, err
	}
	w := wordsOf(x)
	for i := range w.len() {
		if keep.Values[i/8]>>(i%8)&1 == 0 {
			w.set(i, 0)
		}
	}
	return x, nil
}

// filled puts together a stack of sparse parts and the rest.
func (c *Reader) filled(t tensor, sparse []part, rest part) (array.Tensor, error) {
	s, err := c.stack(t, sparse)
	if err != nil {
		return array.Tensor{}, err
	}
	values := make([]byte, rest.values.len())
	if err := c.read(rest.values, values); err != nil {
		return array.Tensor{}, err
	}
	return s.fill(values)
}

func (m Info) clone() Info {
	m.Versions, m.Extra = maps.Clone(m.Versions), maps.Clone(m.Extra)
	m.Inputs, m.Outputs = clonePorts(m.Inputs), clonePorts(m.Outputs)
	return m
}

func clonePorts(ports []Port) []Port {
	ports = slices.Clone(ports)
	for i, p := range ports {
		ports[i].Shape, ports[i].Classes = slices.Clone(p.Shape), slices.Clone(p.Classes)
		ports[i].Mean, ports[i].Std = slices.Clone(p.Mean), slices.Clone(p.Std)
	}
	return ports
}
