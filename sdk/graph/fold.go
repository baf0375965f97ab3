package graph

import (
	"maps"
	"math"

	"github.com/compressaware/cram/sdk/array"
)

// FoldBatchNorm returns p, and the constants of its slots, with every batch_norm_infer merged into
// the conv2d before it, with or without a bias between the two:
//
//	w[o,…] ← w[o,…]·s[o]    b[o] ← (b[o]-mean[o])·s[o] + beta[o]    s[o] = gamma[o]/√(var[o]+eps)
//
// in float64, rounded once. The new w and b are dense. They are the new constants of the slots of w
// and beta, or of a new slot if another instruction reads the old one. A batch_norm_infer remains
// if something else reads the result of the convolution, or if one of the tensors is not in consts,
// is not float32 or does not fit its slot. p and consts are not changed.
func (p *Program) FoldBatchNorm(consts map[string]array.Value) (*Program, map[string]array.Value, error) {
	if p.Count(OpBatchNormInfer) == 0 {
		return p, consts, nil
	}
	f := folder{maps.Clone(consts)}
	conv := pattern{name: "conv", op: OpConv2D, alone: true}
	bias := pattern{op: OpBroadcast, in: []pattern{{name: "bias"}}}
	norm := func(of ...pattern) rule {
		return rule{pattern{op: OpBatchNormInfer, in: of}, f.fold}
	}
	folded, err := p.rewrite(
		norm(conv),
		norm(pattern{op: OpAdd, alone: true, in: []pattern{conv, bias}}),
		norm(pattern{op: OpAdd, alone: true, in: []pattern{bias, conv}}),
	)
	return folded, f.consts, err
}

type folder struct{ consts map[string]array.Value }

// fold returns conv2d and the addition of a bias in place of the batch norm i.
func (f folder) fold(r *rewriter, i Instr, m match) []Node {
	conv := r.p.Code[r.maker[m["conv"]]]
	ids := append([]ID{conv.In[1]}, i.In[1:]...) // w, gamma, beta, mean, var and perhaps bias
	if id, ok := m["bias"]; ok {
		ids = append(ids, id)
	}
	var v [6][]float32
	for k, id := range ids {
		t, ok := f.tensor(r, id)
		if !ok {
			return nil
		}
		v[k] = t.F32()
	}
	w, gamma, beta, mean, variance, bias := v[0], v[1], v[2], v[3], v[4], v[5]
	channels := r.p.Types[i.In[0]].Shape[1]
	if bias != nil && !isColumn(r.p.Types[m["bias"]].Shape, channels) {
		return nil
	}
	for o, row := 0, len(w)/len(gamma); o < len(gamma); o++ {
		s := float64(gamma[o]) / math.Sqrt(float64(variance[o])+i.Attr.(NormAttr).Eps)
		for k := o * row; k < (o+1)*row; k++ {
			w[k] = float32(float64(w[k]) * s)
		}
		b := 0.0
		if bias != nil {
			b = float64(bias[o])
		}
		beta[o] = float32((b-float64(mean[o]))*s + float64(beta[o]))
	}
	y := r.emit1(OpConv2D, conv.Attr, r.values[conv.In[0]], f.put(r, ids[0], w))
	return []Node{r.Add(y, r.Reshape(f.put(r, ids[2], beta), Shape{channels, {C: 1}, {C: 1}}))}
}

// isColumn reports whether a tensor of shape s has one element for each channel of an image.
func isColumn(s Shape, channels Dim) bool {
	return len(s) >= 3 && s[len(s)-3] == channels && s.Size() == channels
}

// slot returns the slot of r.p that id is the value of, perhaps reshaped.
func (f folder) slot(r *rewriter, id ID) (Slot, bool) {
	i := r.p.Code[r.maker[id]]
	if i.Op == OpReshape {
		return f.slot(r, i.In[0])
	}
	if i.Op != OpSlot {
		return Slot{}, false
	}
	return r.p.Slot(i.Attr.(SourceAttr).Name)
}

// tensor returns the constant value of id as float32, in memory of its own.
func (f folder) tensor(r *rewriter, id ID) (array.Tensor, bool) {
	s, ok := f.slot(r, id)
	v, has := f.consts[s.Name]
	if !ok || !has || s.DType != array.F32 || !Of(v.Dims...).Equal(s.Shape) {
		return array.Tensor{}, false
	}
	v, err := v.Cast(array.F32)
	if err != nil {
		return array.Tensor{}, false // the backend or the exporter reads it and reports the error
	}
	t, err := v.Decode()
	return t, err == nil
}

// put makes x the constant in place of the value id and returns its node.
func (f folder) put(r *rewriter, id ID, x []float32) Node {
	t, _ := r.p.Types[id].Shape.Dims() // constant, as of all slots
	v, err := array.From(x, t...)
	if err != nil {
		r.Fail("graph: fold: %w", err)
		return Node{r.Builder, 0}
	}
	s, _ := f.slot(r, id)
	if r.p.Code[r.maker[id]].Op == OpSlot && r.readers[id] == 1 {
		f.consts[s.Name] = array.DenseValue(v)
		return r.values[id]
	}
	s.Type = r.p.Types[id]
	for taken := true; taken; {
		s.Name += ".folded"
		_, declared := r.p.Slot(s.Name)
		_, constant := f.consts[s.Name]
		taken = declared || constant
	}
	f.consts[s.Name] = array.DenseValue(v)
	return r.Slot(s)
}
