package cpu

import (
	"fmt"
	"math"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// perRow makes a phase over the rows of a row-major value, whose last axis is the columns. run
// takes the rows r0 ≤ r < r1.
func (b *binding) perRow(v valueID, ph phase) []phase {
	dims := b.dims[v]
	ph.items = array.Count(dims[:len(dims)-1])
	return []phase{ph}
}

// columns returns the size of the last axis.
func (b *binding) columns(v valueID) int { return b.dims[v][len(b.dims[v])-1] }

func lowerSoftmax(l *lowering, i graph.Instr) error {
	l.emit("softmax", softmax{}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// softmax normalizes e^x over the last axis.
type softmax struct{}

func (softmax) phases(b *binding, s *step) ([]phase, error) {
	x, y, cols := b.buf(s.in[0]), b.buf(s.out[0]), b.columns(s.in[0])
	return b.perRow(s.in[0], phase{cost: 8 * float64(cols), whole: []bufID{x}, writes: []bufID{y}, run: func(f *frame, _, r0, r1 int) error {
		f.isa.Softmax(f.all(y)[r0*cols:r1*cols], f.all(x)[r0*cols:r1*cols], r1-r0, cols)
		return nil
	}}), nil
}

func lowerXent(l *lowering, i graph.Instr) error {
	l.emit("cross_entropy", crossEntropy{}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// crossEntropy is the loss of each row of logits for its label.
type crossEntropy struct{}

func (crossEntropy) phases(b *binding, s *step) ([]phase, error) {
	x, labels, loss, cols := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0]), b.columns(s.in[0])
	return b.perRow(s.in[0], phase{
		cost: 8 * float64(cols), scratch: cols, whole: []bufID{x, labels}, writes: []bufID{loss},
		run: func(f *frame, w, r0, r1 int) error {
			of := f.tensor(labels, array.I32).I32()
			for r := r0; r < r1; r++ {
				if err := checkLabel(r, of[r], cols); err != nil {
					return err
				}
				row := f.all(x)[r*cols : (r+1)*cols]
				if err := f.isa.CrossEntropy(f.all(loss)[r:], f.scratch[w][:cols], row, of[r:], 1, cols); err != nil {
					return err
				}
			}
			return nil
		},
	}), nil
}

func checkLabel(n int, label int32, classes int) error {
	if label < 0 || int(label) >= classes {
		return fmt.Errorf("cross_entropy: label %d at position %d is not in [0, %d)", label, n, classes)
	}
	return nil
}

func lowerXentGrad(l *lowering, i graph.Instr) error {
	l.emit("cross_entropy_grad", crossEntropyGrad{}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// crossEntropyGrad is (softmax - onehot)·dloss: operands logits, labels, dloss.
type crossEntropyGrad struct{}

func (crossEntropyGrad) phases(b *binding, s *step) ([]phase, error) {
	x, labels, dloss, dx, cols := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.in[2]), b.buf(s.out[0]), b.columns(s.in[0])
	return b.perRow(s.in[0], phase{
		cost: 8 * float64(cols), whole: []bufID{x, labels, dloss}, writes: []bufID{dx},
		run: func(f *frame, _, r0, r1 int) error {
			of := f.tensor(labels, array.I32).I32()
			for r := r0; r < r1; r++ {
				if err := checkLabel(r, of[r], cols); err != nil {
					return err
				}
			}
			d := f.all(dx)[r0*cols : r1*cols]
			f.isa.Softmax(d, f.all(x)[r0*cols:r1*cols], r1-r0, cols)
			f.isa.CrossEntropyGrad(d, f.all(dloss)[r0:r1], d, of[r0:r1], r1-r0, cols)
			return nil
		},
	}), nil
}

func lowerArgMax(l *lowering, i graph.Instr) error {
	l.emit("argmax", argMax{}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// argMax is the index of the first NaN or, without one, of the first maximum of each row.
type argMax struct{}

func (argMax) phases(b *binding, s *step) ([]phase, error) {
	x, y, cols := b.buf(s.in[0]), b.buf(s.out[0]), b.columns(s.in[0])
	return b.perRow(s.in[0], phase{cost: 2 * float64(cols), whole: []bufID{x}, writes: []bufID{y}, run: func(f *frame, _, r0, r1 int) error {
		to := f.tensor(y, array.I32).I32()
		for r := r0; r < r1; r++ {
			best := 0
			row := f.all(x)[r*cols : (r+1)*cols]
			for c, v := range row {
				if v > row[best] || v != v {
					best = c
				}
				if v != v {
					break
				}
			}
			to[r] = int32(best)
		}
		return nil
	}}), nil
}

func lowerLayerNorm(l *lowering, i graph.Instr) error {
	out := []valueID{l.define(i.Out[0], plain), l.define(i.Out[1], plain), l.define(i.Out[2], plain)}
	l.emit("layer_norm "+l.nameOf(i.In[1]), layerNorm{i.Attr.(graph.NormAttr).Eps}, l.plainAll(i.In), out)
	return nil
}

// layerNorm normalizes each row: operands x, gamma, beta; results y, mean, variance.
type layerNorm struct{ eps float64 }

func (op layerNorm) phases(b *binding, s *step) ([]phase, error) {
	in, out, cols := b.bufs(s.in), b.bufs(s.out), b.columns(s.in[0])
	return b.perRow(s.in[0], phase{cost: 8 * float64(cols), whole: in, writes: out, run: func(f *frame, _, r0, r1 int) error {
		for r := r0; r < r1; r++ {
			row, y := f.all(in[0])[r*cols:(r+1)*cols], f.all(out[0])[r*cols:(r+1)*cols]
			mean, variance := rowMoments(row)
			f.all(out[1])[r], f.all(out[2])[r] = float32(mean), float32(variance)
			f.isa.Shift(y, row, -float32(mean))
			f.isa.Scale(y, y, float32(1/math.Sqrt(variance+op.eps)))
			f.isa.Mul(y, y, f.all(in[1]))
			f.isa.Add(y, y, f.all(in[2]))
		}
		return nil
	}}), nil
}

// rowMoments returns the mean and the biased variance of x.
func rowMoments(x []float32) (mean, variance float64) {
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		d := float64(v) - mean
		variance += d * d
	}
	return mean, variance / float64(len(x))
}

func lowerLayerNormGrad(l *lowering, i graph.Instr) error {
	out := []valueID{l.define(i.Out[0], plain), l.define(i.Out[1], plain), l.define(i.Out[2], plain)}
	l.emit("layer_norm_grad "+l.nameOf(i.In[2]), layerNormGrad{i.Attr.(graph.NormAttr).Eps}, l.plainAll(i.In), out)
	return nil
}

// layerNormGrad is the gradient of layer_norm: operands dy, x, gamma, mean, variance; results dx,
// dgamma, dbeta.
type layerNormGrad struct{ eps float64 }

func (op layerNormGrad) phases(b *binding, s *step) ([]phase, error) {
	in, out, cols := b.bufs(s.in), b.bufs(s.out), b.columns(s.in[0])
	rows := b.count(s.in[0]) / cols
	invstd := b.floats(rows)
	prepare := phase{items: 1, cost: float64(4 * rows), whole: in[4:], writes: []bufID{invstd}, run: func(f *frame, _, _, _ int) error {
		kernels.InvStd(f.all(invstd), f.all(in[4]), op.eps)
		return nil
	}}
	input := b.perRow(s.in[0], phase{
		cost: 8 * float64(cols), scratch: cols, whole: append(in[:4:4], invstd), writes: out[:1:1],
		run: func(f *frame, w, r0, r1 int) error {
			cut := func(id bufID) []float32 { return f.all(id)[r0*cols : r1*cols] }
			f.isa.LayerNormGrad(cut(out[0]), cut(in[0]), cut(in[1]), f.all(in[3])[r0:r1], f.all(invstd)[r0:r1], f.all(in[2]), f.scratch[w], r1-r0, cols)
			return nil
		},
	})[0]
	t := batch{1, 1, 1}
	if b.varies(s.in[0]) {
		t = b.batchOf(b.dims[s.in[0]][0])
	}
	t = t.times(rows / t.n)
	sums := b.floats(2 * t.parts * cols) // by part: dgamma, dbeta
	params := phase{
		items: (cols + 31) / 32, cost: float64(64 * rows), whole: append(in[:4:4], invstd), writes: []bufID{out[1], out[2], sums},
		run: func(f *frame, _, i0, i1 int) error {
			j0, j1 := i0*32, min(i1*32, cols)
			for p := range t.parts {
				r0, r1 := t.part(p)
				of := f.all(sums)[2*p*cols:]
				kernels.LayerNormParamGrad(of[:cols], of[cols:], f.all(in[0])[r0*cols:], f.all(in[1])[r0*cols:], f.all(in[3])[r0:], f.all(invstd)[r0:],
					r1-r0, cols, j0, j1)
			}
			for k := range 2 {
				t.sum(f.isa, f.all(sums), 2*cols, k*cols+j0, k*cols+j1)
				copy(f.all(out[1+k])[j0:j1], f.all(sums)[k*cols+j0:])
			}
			return nil
		},
	}
	return []phase{prepare, input, params}, nil
}
