package cpu

import (
	"slices"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// lowerReshape makes a value that shares the memory of its operand in row-major layout.
func lowerReshape(l *lowering, i graph.Instr) error {
	from, to := &l.layouts[i.In[0]], &l.layouts[i.Out[0]]
	if from.fill != nil {
		to.fill = from.fill
		return nil
	}
	to.plain = l.view(l.plainOf(i.In[0]), l.program.Types[i.Out[0]], plain)
	return nil
}

// lowerBroadcast emits no step: tapes read the smaller operand, and plainOf and blockedOf make the
// elements.
func lowerBroadcast(l *lowering, i graph.Instr) error {
	from, to := &l.layouts[i.In[0]], &l.layouts[i.Out[0]]
	if from.fill != nil {
		to.fill = from.fill
		return nil
	}
	source, dims := i.In[0], l.program.Types[i.In[0]].Shape
	v := none
	if s := from.spread; s != nil && from.plain == none {
		v, dims = s.from, s.dims
	} else {
		v = l.plainOf(source)
	}
	rank := len(l.program.Types[i.Out[0]].Shape)
	ones := slices.Repeat(graph.Of(1), rank-len(dims))
	to.spread = &spread{from: v, dims: slices.Concat(ones, dims)}
	return nil
}

// A move copies elements between row-major tensors: the element with index i < shape goes from
// fromAt + Σ i·from to toAt + Σ i·to.
type move struct {
	shape, from, to []int
	fromAt, toAt    int
}

// strides returns the distance between neighbours along each axis of a row-major tensor.
func strides(dims []int) []int {
	s := make([]int, len(dims))
	for ax, n := len(dims)-1, 1; ax >= 0; ax-- {
		s[ax] = n
		n *= dims[ax]
	}
	return s
}

// scaled returns s[ax]·by[ax].
func scaled(s, by []int) []int {
	out := make([]int, len(s))
	for ax := range s {
		out[ax] = s[ax] * by[ax]
	}
	return out
}

// dot returns Σ x·y.
func dot(x, y []int) int {
	total := 0
	for i := range x {
		total += x[i] * y[i]
	}
	return total
}

// A mover is an operator that only moves elements: transpose, slice, pad and concat.
type mover struct {
	// moves returns one move for each operand.
	moves func(to []int, from [][]int) []move
	zero  bool // the result is cleared first
}

func (m mover) phases(b *binding, s *step) ([]phase, error) {
	d := b.values[s.out[0]].typ.DType
	to, from := b.buf(s.out[0]), b.bufs(s.in)
	n := b.count(s.out[0])
	dims := make([][]int, len(s.in))
	for k, v := range s.in {
		dims[k] = b.dims[v]
	}
	moves := m.moves(b.dims[s.out[0]], dims)
	return []phase{{items: 1, cost: float64(2 * n), whole: from, writes: []bufID{to}, run: func(f *frame, _, _, _ int) error {
		y := f.tensor(to, d)
		if m.zero || d == array.Bit {
			clear(y.Data)
		}
		for k, mv := range moves {
			mv.run(y, f.tensor(from[k], d))
		}
		return nil
	}}}, nil
}

// run moves the elements of x to y. Bits of y begin as zeros.
func (m move) run(y, x array.Tensor) {
	if over := len(m.shape) - kernels.MaxRank; over > 0 { // rare: loop over the outer axes
		for i := range m.shape[0] {
			inner := move{m.shape[1:], m.from[1:], m.to[1:], m.fromAt + i*m.from[0], m.toAt + i*m.to[0]}
			inner.run(y, x)
		}
		return
	}
	switch y.DType {
	case array.F32:
		kernels.Copy(y.F32()[m.toAt:], m.to, x.F32()[m.fromAt:], m.from, m.shape)
	case array.I32:
		kernels.Copy(y.I32()[m.toAt:], m.to, x.I32()[m.fromAt:], m.from, m.shape)
	case array.I64:
		kernels.Copy(y.I64()[m.toAt:], m.to, x.I64()[m.fromAt:], m.from, m.shape)
	case array.I8:
		kernels.Copy(y.Data[m.toAt:], m.to, x.Data[m.fromAt:], m.from, m.shape)
	case array.Bit:
		m.bits(y, x)
	}
}

// bits moves single bits.
func (m move) bits(y, x array.Tensor) {
	if len(m.shape) == 0 {
		if x.Bit(m.fromAt) {
			y.SetBit(m.toAt)
		}
		return
	}
	for i := range m.shape[0] {
		move{m.shape[1:], m.from[1:], m.to[1:], m.fromAt + i*m.from[0], m.toAt + i*m.to[0]}.bits(y, x)
	}
}

func lowerTranspose(l *lowering, i graph.Instr) error {
	perm := i.Attr.(graph.TransposeAttr).Perm
	l.emit("transpose", mover{moves: func(to []int, from [][]int) []move {
		along := strides(from[0])
		permuted := make([]int, len(perm))
		for ax, p := range perm {
			permuted[ax] = along[p]
		}
		return []move{{shape: to, from: permuted, to: strides(to)}}
	}}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

func lowerSlice(l *lowering, i graph.Instr) error {
	a := i.Attr.(graph.SliceAttr)
	l.emit("slice", mover{moves: func(to []int, from [][]int) []move {
		along := strides(from[0])
		return []move{{shape: to, from: scaled(along, a.Step), fromAt: dot(along, a.Begin), to: strides(to)}}
	}}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

func lowerPad(l *lowering, i graph.Instr) error {
	a := i.Attr.(graph.PadAttr)
	l.emit("pad", mover{zero: true, moves: func(to []int, from [][]int) []move {
		along := strides(to)
		step := make([]int, len(to))
		for ax := range step {
			step[ax] = a.Inner[ax] + 1
		}
		return []move{{shape: from[0], from: strides(from[0]), to: scaled(along, step), toAt: dot(along, a.Lo)}}
	}}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

func lowerConcat(l *lowering, i graph.Instr) error {
	axis := i.Attr.(graph.ConcatAttr).Axis
	l.emit("concat", mover{moves: func(to []int, from [][]int) []move {
		along, at := strides(to), 0
		moves := make([]move, len(from))
		for k, dims := range from {
			moves[k] = move{shape: dims, from: strides(dims), to: along, toAt: at * along[axis]}
			at += dims[axis]
		}
		return moves
	}}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// copyAll copies one value to another of its type.
type copyAll struct{}

func (copyAll) phases(b *binding, s *step) ([]phase, error) {
	from, to := b.buf(s.in[0]), b.buf(s.out[0])
	return []phase{{items: 1, cost: float64(b.count(s.out[0])), whole: []bufID{from}, writes: []bufID{to}, run: func(f *frame, _, _, _ int) error {
		copy(f.bytes[to], f.bytes[from])
		return nil
	}}}, nil
}
