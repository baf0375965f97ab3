package cpu

import (
	"slices"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func lowerSum(l *lowering, i graph.Instr) error {
	axes := i.Attr.(graph.ReduceAttr).Axes
	x := i.In[0]
	if l.isBlocked(x) {
		rank := len(l.program.Types[x].Shape)
		if spatial := axesFrom(2, rank); rank > 2 && (slices.Equal(axes, spatial) || slices.Equal(axes, append([]int{0}, spatial...))) {
			l.emit("sum", sumPlanes{overBatch: axes[0] == 0}, []valueID{l.blockedOf(x)}, []valueID{l.define(i.Out[0], plain)})
			return nil
		}
	}
	return l.reduce(i, false)
}

func lowerReduceMax(l *lowering, i graph.Instr) error { return l.reduce(i, true) }

func (l *lowering) reduce(i graph.Instr, largest bool) error {
	op := reduce{i.Attr.(graph.ReduceAttr).Axes, largest}
	l.emit(string(i.Op), op, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// axesFrom returns the axes from the given one on.
func axesFrom(first, rank int) []int {
	var axes []int
	for ax := first; ax < rank; ax++ {
		axes = append(axes, ax)
	}
	return axes
}

// sumPlanes adds up the pixels of a blocked tensor, giving [n, c], and then over images too, giving [c].
type sumPlanes struct{ overBatch bool }

func (op sumPlanes) phases(b *binding, s *step) ([]phase, error) {
	m := b.image(s.in[0])
	x, y := b.buf(s.in[0]), b.buf(s.out[0])
	part := b.floats(m.n * m.padded())
	ps := b.perImage(m, phase{cost: float64(m.floats() / m.n), reads: []bufID{x}, writes: []bufID{part}, run: func(f *frame, w, i0, i1 int) error {
		sumPixels(f.piece(w, part, i0, i1), f.piece(w, x, i0, i1), m.pixels)
		return nil
	}})
	if op.overBatch {
		return append(ps, phase{items: 1, cost: float64(m.n * m.padded()), whole: []bufID{part}, writes: []bufID{y}, run: func(f *frame, _, _, _ int) error {
			kernels.SumRows(f.all(y), f.all(part), m.n, m.padded(), 0, m.c)
			return nil
		}}), nil
	}
	return append(ps, b.perImage(m, phase{cost: float64(m.c), reads: []bufID{part}, writes: []bufID{y}, run: func(f *frame, w, i0, i1 int) error {
		to, from := f.piece(w, y, i0, i1), f.piece(w, part, i0, i1)
		for i := range i1 - i0 {
			copy(to[i*m.c:(i+1)*m.c], from[i*m.padded():])
		}
		return nil
	}})...), nil
}

// sumPixels adds up the pixels of each plane of x, even and odd ones apart.
func sumPixels(dst, x []float32, pixels int) {
	for p := range len(dst) / kernels.Block {
		var sum [2][kernels.Block]float32
		for i := range pixels {
			s := &sum[i%2]
			for j, v := range (*[kernels.Block]float32)(x[(p*pixels+i)*kernels.Block:]) {
				s[j] += v
			}
		}
		to := dst[p*kernels.Block:][:kernels.Block]
		for j := range to {
			to[j] = sum[0][j] + sum[1][j]
		}
	}
}

// reduce adds up, or takes the maximum, along axes of a row-major tensor.
type reduce struct {
	axes    []int
	largest bool
}

func (op reduce) phases(b *binding, s *step) ([]phase, error) {
	dims := b.dims[s.in[0]]
	x, y := b.buf(s.in[0]), b.buf(s.out[0])
	kept, gone := op.split(dims)
	rows, cols := 1, 1
	for _, ax := range kept {
		rows *= dims[ax]
	}
	for _, ax := range gone {
		cols *= dims[ax]
	}
	order := slices.Concat(kept, gone)
	switch {
	case slices.IsSorted(order):
	case !op.largest && slices.IsSorted(slices.Concat(gone, kept)):
		return []phase{{items: (rows + 31) / 32, cost: float64(32 * cols), whole: []bufID{x}, writes: []bufID{y}, run: func(f *frame, _, i0, i1 int) error {
			kernels.SumRows(f.all(y), f.all(x), cols, rows, i0*32, min(i1*32, rows))
			return nil
		}}}, nil
	default:
		sorted := b.floats(rows * cols)
		return append([]phase{gatherAxes(x, sorted, dims, order)}, op.rows(b, sorted, y, rows, cols)...), nil
	}
	return op.rows(b, x, y, rows, cols), nil
}

// split divides the axes of extent above 1 into those that stay and those that vanish.
func (op reduce) split(dims []int) (kept, gone []int) {
	for ax, n := range dims {
		switch {
		case n == 1:
		case slices.Contains(op.axes, ax):
			gone = append(gone, ax)
		default:
			kept = append(kept, ax)
		}
	}
	return kept, gone
}

// gatherAxes copies x to y with its axes in that order.
func gatherAxes(x, y bufID, dims, order []int) phase {
	along := strides(dims)
	shape, from := make([]int, len(order)), make([]int, len(order))
	for i, ax := range order {
		shape[i], from[i] = dims[ax], along[ax]
	}
	mv := move{shape: shape, from: from, to: strides(shape)}
	return phase{items: 1, cost: float64(2 * array.Count(dims)), whole: []bufID{x}, writes: []bufID{y}, run: func(f *frame, _, _, _ int) error {
		mv.run(f.tensor(y, array.F32), f.tensor(x, array.F32))
		return nil
	}}
}

// rows reduces each row of x[rows, cols]. A single long row is cut into chunks, whose results are joined in order.
func (op reduce) rows(b *binding, x, y bufID, rows, cols int) []phase {
	each := func(l kernels.InstructionSet, row []float32) float32 {
		if op.largest {
			return l.Largest(row)
		}
		return float32(l.Sum(row))
	}
	if rows > 1 || cols <= kernels.SumChunk {
		return []phase{{items: rows, cost: float64(cols), whole: []bufID{x}, writes: []bufID{y}, run: func(f *frame, _, r0, r1 int) error {
			for r := r0; r < r1; r++ {
				f.all(y)[r] = each(f.level, f.all(x)[r*cols:(r+1)*cols])
			}
			return nil
		}}}
	}
	part := b.floats(kernels.Chunks(cols))
	return []phase{
		{items: kernels.Chunks(cols), cost: kernels.SumChunk, whole: []bufID{x}, writes: []bufID{part}, run: func(f *frame, _, i0, i1 int) error {
			for i := i0; i < i1; i++ {
				f.all(part)[i] = each(f.level, f.all(x)[i*kernels.SumChunk:min((i+1)*kernels.SumChunk, cols)])
			}
			return nil
		}},
		{items: 1, cost: float64(kernels.Chunks(cols)), whole: []bufID{part}, writes: []bufID{y}, run: func(f *frame, _, _, _ int) error {
			if op.largest {
				f.all(y)[0] = f.level.Largest(f.all(part))
				return nil
			}
			total := 0.0
			for _, v := range f.all(part) {
				total += float64(v)
			}
			f.all(y)[0] = float32(total)
			return nil
		}},
	}
}
