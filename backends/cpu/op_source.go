package cpu

import (
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func lowerInput(l *lowering, i graph.Instr) error {
	v := l.define(i.Out[0], plain)
	k := slices.IndexFunc(l.program.Inputs, func(p graph.Port) bool { return p.ID == i.Out[0] })
	l.values[v].home = home{inInput, k}
	return nil
}

func lowerSlot(l *lowering, i graph.Instr) error {
	v := l.define(i.Out[0], plain)
	name := i.Attr.(graph.SourceAttr).Name
	if k, ok := l.frozen[name]; ok {
		l.values[v].home = home{inConstant, k}
		return nil
	}
	k := slices.IndexFunc(l.program.Slots, func(s graph.Slot) bool { return s.Name == name })
	l.values[v].home = home{inSlot, k}
	return nil
}

// lowerConst emits no step: tapes read the constant, and plainOf makes the elements.
func lowerConst(l *lowering, i graph.Instr) error {
	fill := i.Attr.(graph.ConstAttr)
	l.layouts[i.Out[0]].fill = &fill
	return nil
}

// constant fills its result.
type constant struct{ value float64 }

func (c constant) phases(b *binding, s *step) ([]phase, error) {
	return b.fill(s, func() float64 { return c.value }), nil
}

// fill returns the phases of a result whose elements are all value().
func (b *binding) fill(s *step, value func() float64) []phase {
	y := s.out[0]
	t := b.values[y].typ
	to := b.buf(y)
	n := b.count(y)
	return []phase{{items: 1, cost: float64(n), writes: []bufID{to}, run: func(f *frame, _, _, _ int) error {
		fillTensor(f.tensor(to, t.DType), n, value())
		return nil
	}}}
}

// fillTensor sets the n elements of t to v: clamped for integers, v ≠ 0 for bits.
func fillTensor(t array.Tensor, n int, v float64) {
	switch t.DType {
	case array.F32:
		fillWith(t.F32(), float32(v))
	case array.I32:
		fillWith(t.I32(), int32(clamp(v, 32)))
	case array.I64:
		fillWith(t.I64(), clamp(v, 64))
	case array.I8:
		fillWith(t.Data, byte(clamp(v, 8)))
	case array.Bit:
		clear(t.Data)
		for i := 0; v != 0 && i < n; i++ {
			t.SetBit(i)
		}
	}
}

func fillWith[T any](x []T, v T) {
	for i := range x {
		x[i] = v
	}
}

// lowerCount computes the number of elements along axes from the sizes.
func lowerCount(l *lowering, i graph.Instr) error {
	n := graph.Dim{C: 1}
	x := l.program.Types[i.In[0]].Shape
	for _, ax := range i.Attr.(graph.ReduceAttr).Axes {
		n = n.Mul(x[ax])
	}
	if n.Fixed() {
		l.layouts[i.Out[0]].fill = &graph.ConstAttr{DType: array.F32, Value: float64(n.C)}
		return nil
	}
	l.emit("count", count{graph.Shape{n}}, nil, []valueID{l.define(i.Out[0], plain)})
	return nil
}

type count struct{ of graph.Shape }

func (c count) phases(b *binding, s *step) ([]phase, error) {
	dims, err := c.of.Bind(b.sizes)
	if err != nil {
		return nil, err
	}
	return b.fill(s, func() float64 { return float64(dims[0]) }), nil
}

func lowerUniform(l *lowering, i graph.Instr) error {
	key := l.plainOf(i.In[0])
	l.emit("uniform", uniform{i.Attr.(graph.UniformAttr).Stream}, []valueID{key}, []valueID{l.define(i.Out[0], plain)})
	return nil
}

// uniform is counter-based random numbers, as [graph.Uniform] defines them.
type uniform struct{ stream int }

func (u uniform) phases(b *binding, s *step) ([]phase, error) {
	key, to, n := b.buf(s.in[0]), b.buf(s.out[0]), b.count(s.out[0])
	return []phase{{
		items: tiles(n), cost: 20 * tile, whole: []bufID{key}, writes: []bufID{to},
		run: func(f *frame, _, i0, i1 int) error {
			k := [2]int64(f.tensor(key, array.I64).I64())
			y := f.all(to)
			for i := i0 * tile; i < min(i1*tile, n); i++ {
				y[i] = float32(graph.Uniform(k, u.stream, i))
			}
			return nil
		},
	}}, nil
}

// tile is the number of elements of one tile of elementwise work. Its operands fit the first-level
// cache.
const tile = 4096

func tiles(n int) int { return (n + tile - 1) / tile }
