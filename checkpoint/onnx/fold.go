package onnx

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Fold returns m with every batch norm that follows a convolution of its own weights, and perhaps a bias, merged into them:
//
//	w[o,…] ← w[o,…]·s[o]    b[o] ← (b[o] - mean[o])·s[o] + beta[o]    s[o] = gamma[o]/√(var[o]+eps)
//
// computed in float64 and rounded once. The new bias lives in beta's slot. Other batch norms stay. m is not changed.
func Fold(m Model) (Model, error) {
	if m.Program == nil {
		return m, fmt.Errorf("onnx: fold: no program")
	}
	p := *m.Program
	p.Code, p.Types = slices.Clone(p.Code), slices.Clone(p.Types)
	f := folder{p: &p, tensors: maps.Clone(m.Tensors), maker: map[graph.ID]int{}, uses: map[graph.ID]int{}}
	for k, i := range p.Code {
		for _, id := range i.Out {
			f.maker[id] = k
		}
		for _, id := range i.In {
			f.uses[id]++
		}
	}
	for _, out := range p.Outputs {
		f.uses[out.ID]++
	}
	var code []graph.Instr
	for _, i := range p.Code {
		folded, err := f.fold(i)
		if err != nil {
			return m, fmt.Errorf("onnx: fold: %w", err)
		}
		code = append(code, folded...)
	}
	p.Code = code
	renumber(&p)
	m.Program, m.Tensors = &p, f.tensors
	return m, p.Verify()
}

// renumber gives the values of p numbers in the order of its code, as programs want them.
func renumber(p *graph.Program) {
	types, id := make([]graph.Type, 0, len(p.Types)), map[graph.ID]graph.ID{}
	moved := func(ids []graph.ID) []graph.ID {
		out := make([]graph.ID, len(ids))
		for k, x := range ids {
			out[k] = id[x]
		}
		return out
	}
	for k, i := range p.Code {
		for _, x := range i.Out {
			id[x] = graph.ID(len(types))
			types = append(types, p.Types[x])
		}
		p.Code[k].In, p.Code[k].Out = moved(i.In), moved(i.Out)
	}
	p.Types, p.Inputs, p.Outputs = types, slices.Clone(p.Inputs), slices.Clone(p.Outputs)
	for k := range p.Inputs {
		p.Inputs[k].ID = id[p.Inputs[k].ID]
	}
	for k := range p.Outputs {
		p.Outputs[k].ID = id[p.Outputs[k].ID]
	}
}

type folder struct {
	p       *graph.Program
	tensors map[string]array.Value
	maker   map[graph.ID]int // the instruction that makes a value
	uses    map[graph.ID]int
}

// fold returns what takes the place of an instruction.
func (f *folder) fold(i graph.Instr) ([]graph.Instr, error) {
	if i.Op != graph.OpBatchNormInfer {
		return []graph.Instr{i}, nil
	}
	conv, bias := f.biased(i.In[0])
	if conv == nil || f.slot(conv.In[1]) == "" {
		return []graph.Instr{i}, nil
	}
	kernel := f.slot(conv.In[1])
	var v [4][]float32 // gamma, beta, mean, var
	for k, id := range i.In[1:] {
		name := f.slot(id)
		if name == "" || k < 2 && f.uses[id] > 1 {
			return []graph.Instr{i}, nil
		}
		t, err := f.decode(name)
		if err != nil {
			return nil, err
		}
		v[k] = t.F32()
	}
	var b []float32
	if bias != "" {
		t, err := f.decode(bias)
		if err != nil {
			return nil, err
		}
		b = t.F32()
	}
	w, err := f.decode(kernel)
	if err != nil {
		return nil, err
	}
	w = w.Clone()
	shift, err := array.New(array.F32, len(v[0]))
	if err != nil {
		return nil, err
	}
	row := w.Len() / len(v[0])
	for o, gamma := range v[0] {
		s := float64(gamma) / math.Sqrt(float64(v[3][o])+i.Attr.(graph.NormAttr).Eps)
		begin := 0.0
		if b != nil {
			begin = float64(b[o])
		}
		shift.F32()[o] = float32((begin-float64(v[2][o]))*s + float64(v[1][o]))
		for k := o * row; k < (o+1)*row; k++ {
			w.F32()[k] = float32(float64(w.F32()[k]) * s)
		}
	}
	f.tensors[kernel], f.tensors[f.slot(i.In[2])] = array.DenseValue(w), array.DenseValue(shift)
	return f.shifted(i, conv.Out[0]), nil
}

// shifted returns y = conv + reshape(beta), repeated, in place of the batch norm i.
func (f *folder) shifted(i graph.Instr, conv graph.ID) []graph.Instr {
	t := f.p.Types[i.Out[0]]
	column := graph.Type{DType: t.DType, Shape: graph.Of(t.Shape[1].C, 1, 1)}
	a, b := f.value(column), f.value(t)
	return []graph.Instr{
		{Op: graph.OpReshape, Attr: graph.ReshapeAttr{Shape: column.Shape}, In: []graph.ID{i.In[2]}, Out: []graph.ID{a}},
		{Op: graph.OpBroadcast, Attr: graph.ReshapeAttr{Shape: t.Shape}, In: []graph.ID{a}, Out: []graph.ID{b}},
		{Op: graph.OpAdd, In: []graph.ID{conv, b}, Out: i.Out},
	}
}

func (f *folder) value(t graph.Type) graph.ID {
	f.p.Types = append(f.p.Types, t)
	return graph.ID(len(f.p.Types) - 1)
}

// biased returns the convolution that alone feeds x, which nothing else reads, and the slot of the bias between them, "" for none.
func (f *folder) biased(x graph.ID) (conv *graph.Instr, bias string) {
	i := f.only(x)
	if i != nil && i.Op == graph.OpAdd {
		repeated := f.only(i.In[1])
		if repeated == nil || repeated.Op != graph.OpBroadcast {
			return nil, ""
		}
		column := f.only(repeated.In[0])
		if column == nil || column.Op != graph.OpReshape {
			return nil, ""
		}
		channels := graph.Of(f.p.Types[x].Shape[1].C)
		if bias = f.slot(column.In[0]); bias == "" || !f.p.Types[column.In[0]].Shape.Equal(channels) || !f.p.Types[repeated.In[0]].Shape.Equal(append(channels, graph.Of(1, 1)...)) {
			return nil, ""
		}
		i = f.only(i.In[0])
	}
	if i == nil || i.Op != graph.OpConv2D || f.uses[i.In[1]] > 1 {
		return nil, ""
	}
	return i, bias
}

// only returns the instruction that makes x if one alone reads x.
func (f *folder) only(x graph.ID) *graph.Instr {
	if f.uses[x] != 1 {
		return nil
	}
	return &f.p.Code[f.maker[x]]
}

// slot returns the slot that id is the value of, "" for none.
func (f *folder) slot(id graph.ID) string {
	if i := f.p.Code[f.maker[id]]; i.Op == graph.OpSlot && f.p.Types[id].DType == array.F32 {
		return i.Attr.(graph.SourceAttr).Name
	}
	return ""
}

// decode returns a float32 tensor.
func (f *folder) decode(name string) (array.Tensor, error) {
	v, err := f.tensors[name].Cast(array.F32)
	if err != nil {
		return array.Tensor{}, fmt.Errorf("%s: %w", name, err)
	}
	return v.Decode()
}
