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

// axesFrom returns the axes from the given one to the last.
func axesFrom(first, rank int) []int {
	var axes []int
	for ax := first; ax < rank; ax++ {
		axes = append(axes, ax)
	}
	return axes
}

// sumPlanes adds up the pixels of a blocked tensor, which gives [n, c], and then the images, which
// gives [c], if overBatch.
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
		return append(ps, b.sumRows(b.batchOf(m.n), part, y, m.padded(), m.c)), nil
	}
	return append(ps, b.perImage(m, phase{cost: float64(m.c), reads: []bufID{part}, writes: []bufID{y}, run: func(f *frame, w, i0, i1 int) error {
		to, from := f.piece(w, y, i0, i1), f.piece(w, part, i0, i1)
		for i := range i1 - i0 {
			copy(to[i*m.c:(i+1)*m.c], from[i*m.padded():])
		}
		return nil
	}})...), nil
}

// sumPixels adds up the pixels of each plane of x: the even and the odd ones, then both.
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
	t := batch{1, 1, 1}
	if len(gone) > 0 && gone[0] == 0 && b.varies(s.in[0]) && !op.largest {
		t = b.batchOf(dims[0])
	}
	rows, cols := 1, 1
	for _, ax := range kept {
		rows *= dims[ax]
	}
	for _, ax := range gone {
		cols *= dims[ax]
	}
	t = t.times(cols / t.n)
	order := slices.Concat(kept, gone)
	switch {
	case slices.IsSorted(order):
	case !op.largest && slices.IsSorted(slices.Concat(gone, kept)):
		return []phase{b.sumRows(t, x, y, rows, rows)}, nil
	default:
		sorted := b.floats(rows * cols)
		return append([]phase{gatherAxes(x, sorted, dims, order)}, op.rows(b, t, sorted, y, rows, cols)...), nil
	}
	return op.rows(b, t, x, y, rows, cols), nil
}

// split returns the axes that the result keeps and those that it does not. Axes of size 1 are in
// neither.
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

// gatherAxes is the phase that copies x to y with its axes in the given order.
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

// sumRows is the phase that sets y[j] = Σ_i x[i, j] for j < n and the rows i of a batch x[t.n,
// columns].
func (b *binding) sumRows(t batch, x, y bufID, columns, n int) phase {
	const width = 32 // columns of an item
	sums := b.floats(t.parts * columns)
	return phase{
		items: (n + width - 1) / width, cost: float64(width * t.n), whole: []bufID{x}, writes: []bufID{y, sums},
		run: func(f *frame, _, i0, i1 int) error {
			j0, j1 := i0*width, min(i1*width, n)
			for p := range t.parts {
				r0, r1 := t.part(p)
				kernels.SumRows(f.all(sums)[p*columns:], f.all(x)[r0*columns:], r1-r0, columns, j0, j1)
			}
			t.sum(f.isa, f.all(sums), columns, j0, j1)
			copy(f.all(y)[j0:j1], f.all(sums)[j0:j1])
			return nil
		},
	}
}

// rows reduces each row of x[rows, cols]. The columns are the batch t, or a batch of one part. A
// single long row is cut into the parts of the batch or, if there is only one, into chunks. Their
// results are joined in order.
func (op reduce) rows(b *binding, t batch, x, y bufID, rows, cols int) []phase {
	each := func(isa kernels.InstructionSet, row []float32) float32 {
		if op.largest {
			return isa.Largest(row)
		}
		return float32(isa.Sum(row))
	}
	if rows > 1 || cols <= kernels.SumChunk {
		return []phase{{items: rows, cost: float64(cols), whole: []bufID{x}, writes: []bufID{y}, run: func(f *frame, _, r0, r1 int) error {
			var sums [batchParts]float32
			for r := r0; r < r1; r++ {
				for p := range t.parts {
					c0, c1 := t.part(p)
					sums[p] = each(f.isa, f.all(x)[r*cols+c0:r*cols+c1])
				}
				t.fold(func(into, from int) { sums[into] += sums[from] })
				f.all(y)[r] = sums[0]
			}
			return nil
		}}}
	}
	items, chunk := kernels.Chunks(cols), kernels.SumChunk
	if t.parts > 1 {
		items, chunk = t.parts, t.size
	}
	part := b.floats(items)
	return []phase{
		{items: items, cost: float64(chunk), whole: []bufID{x}, writes: []bufID{part}, run: func(f *frame, _, i0, i1 int) error {
			for i := i0; i < i1; i++ {
				f.all(part)[i] = each(f.isa, f.all(x)[i*chunk:min((i+1)*chunk, cols)])
			}
			return nil
		}},
		{items: 1, cost: float64(items), whole: []bufID{part}, writes: []bufID{y}, run: func(f *frame, _, _, _ int) error {
			switch {
			case op.largest:
				f.all(y)[0] = f.isa.Largest(f.all(part))
			case t.parts > 1:
				t.sum(f.isa, f.all(part), 1, 0, 1)
				f.all(y)[0] = f.all(part)[0]
			default:
				total := 0.0
				for _, v := range f.all(part) {
					total += float64(v)
				}
				f.all(y)[0] = float32(total)
			}
			return nil
		}},
	}
}
