package cpu

import (
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/graph"
)

// Batch normalization is three operators: the statistics of a batch, the normalization with the
// addition and the ReLU that follow it, and the gradient.

// lowerBatchNorm computes statistics and normalizes. fuse joins other ops with the second.
func lowerBatchNorm(l *lowering, i graph.Instr) error {
	l.normStats(i)
	l.normApply(i, i.Out[0], none, false)
	return nil
}

// normStats emits the statistics of a batch_norm.
func (l *lowering) normStats(i graph.Instr) {
	l.emit("batch_norm statistics "+l.nameOf(i.In[1]), normStats{}, []valueID{l.blockedOf(i.In[0])},
		[]valueID{l.define(i.Out[1], plain), l.define(i.Out[2], plain)})
}

// normApply emits the normalization of a batch_norm or batch_norm_infer. The result after addition
// and ReLU is y.
func (l *lowering) normApply(i graph.Instr, y graph.ID, residual valueID, relu bool) {
	mean, variance := l.normStatistics(i)
	in := []valueID{l.blockedOf(i.In[0]), l.plainOf(i.In[1]), l.plainOf(i.In[2]), mean, variance}
	if residual != none {
		in = append(in, residual)
	}
	l.emit("batch_norm "+l.nameOf(i.In[1]), normApply{i.Attr.(graph.NormAttr).Eps, relu}, in, []valueID{l.define(y, blocked)})
}

// normStatistics returns the mean and the variance of an instruction: those of the batch, or given
// ones.
func (l *lowering) normStatistics(i graph.Instr) (mean, variance valueID) {
	if i.Op == graph.OpBatchNorm {
		return l.plainOf(i.Out[1]), l.plainOf(i.Out[2])
	}
	return l.plainOf(i.In[3]), l.plainOf(i.In[4])
}

func lowerBatchNormInfer(l *lowering, i graph.Instr) error {
	l.normApply(i, i.Out[0], none, false)
	return nil
}

func lowerBatchNormGrad(l *lowering, i graph.Instr) error {
	l.normGrad(i, l.blockedOf(i.In[0]), none, none)
	return nil
}

// normGrad emits a batch_norm_grad. If y is given, the gradient is dy where y > 0 and 0 elsewhere.
// If g is given, too, that gradient is stored in g.
func (l *lowering) normGrad(i graph.Instr, dy, y, g valueID) {
	in := []valueID{dy, l.blockedOf(i.In[1]), l.plainOf(i.In[2]), l.plainOf(i.In[3]), l.plainOf(i.In[4])}
	out := []valueID{l.define(i.Out[0], blocked), l.define(i.Out[1], plain), l.define(i.Out[2], plain)}
	if y != none {
		in = append(in, y)
	}
	if g != none {
		out = append(out, g)
	}
	l.emit("batch_norm_grad "+l.nameOf(i.In[2]), normGrad{i.Attr.(graph.NormAttr).Eps}, in, out)
}

// planes returns the planes of that many images, beginning with plane 0.
func (m image) planes(images int) kernels.Planes {
	return kernels.Planes{Blocks: m.blocks(), Pixels: m.pixels, To: images * m.blocks()}
}

// normStats computes mean and variance of x over images and pixels.
type normStats struct{}

func (normStats) phases(b *binding, s *step) ([]phase, error) {
	m := b.image(s.in[0])
	x, mean, variance := b.buf(s.in[0]), b.buf(s.out[0]), b.buf(s.out[1])
	part := b.floats(m.n * m.blocks() * kernels.MomentsPart)
	t, p := b.batchOf(m.n), m.padded()
	merged := b.floats(2 * t.parts * p) // means of the parts, variances of the parts
	ps := b.perImage(m, phase{cost: float64(m.floats() / m.n), reads: []bufID{x}, writes: []bufID{part}, run: func(f *frame, w, i0, i1 int) error {
		f.isa.Moments(f.piece(w, part, i0, i1), f.piece(w, x, i0, i1), m.planes(i1-i0))
		return nil
	}})
	return append(ps, phase{
		items: 1, cost: float64(4 * m.n * m.padded()), whole: []bufID{part}, writes: []bufID{mean, variance, merged},
		run: func(f *frame, _, _, _ int) error {
			u, v := f.all(merged)[:t.parts*p], f.all(merged)[t.parts*p:]
			for i := range t.parts {
				i0, i1 := t.part(i)
				kernels.MergeMoments(u[i*p:][:p], v[i*p:][:p], f.all(part)[i0*m.blocks()*kernels.MomentsPart:], i1-i0, m.blocks(), m.pixels, 0, m.blocks())
			}
			t.moments(u, v, p)
			copy(f.all(mean), u[:m.c])
			copy(f.all(variance), v[:m.c])
			return nil
		},
	}), nil
}

// moments combines the means and the biased variances [parts, columns] of the parts of a batch. The
// results are in row 0. Of two sets with a and b items, means u and v and variances x and y:
//
//	mean = u + (v-u)·b/(a+b)      variance = (a·x + b·y)/(a+b) + (v-u)²·a·b/(a+b)²
func (t batch) moments(mean, variance []float32, columns int) {
	items := make([]float64, t.parts)
	for p := range items {
		i0, i1 := t.part(p)
		items[p] = float64(i1 - i0)
	}
	t.fold(func(into, from int) {
		sum := items[into] + items[from]
		share, other := items[into]/sum, items[from]/sum
		u, v := mean[into*columns:][:columns], mean[from*columns:][:columns]
		x, y := variance[into*columns:][:columns], variance[from*columns:][:columns]
		for j := range u {
			d := float64(v[j]) - float64(u[j])
			x[j] = float32(share*float64(x[j]) + other*float64(y[j]) + d*d*share*other)
			u[j] = float32(float64(u[j]) + d*other)
		}
		items[into] = sum
	})
}

// normApply normalizes x by given statistics: operands x, gamma, beta, mean, variance, and perhaps
// a residual to add.
type normApply struct {
	eps  float64
	relu bool
}

func (op normApply) phases(b *binding, s *step) ([]phase, error) {
	m := b.image(s.in[0])
	in, y := b.bufs(s.in), b.buf(s.out[0])
	p := m.padded()
	vectors := b.floats(3 * p)
	affine := func(f *frame) kernels.Affine {
		v := f.all(vectors)
		return kernels.Affine{Mean: v[:p], Scale: v[p : 2*p], Shift: v[2*p:]}
	}
	prepare := phase{items: 1, cost: float64(8 * p), whole: in[1:5], writes: []bufID{vectors}, run: func(f *frame, _, _, _ int) error {
		a := affine(f)
		padTo(a.Mean, f.all(in[3]))
		padTo(a.Shift, f.all(in[2]))
		normScale(a.Scale, f.all(in[1]), f.all(in[4]), op.eps)
		return nil
	}}
	apply := phase{
		cost: 2 * float64(m.floats()/m.n), whole: []bufID{vectors}, reads: in[:1:1], writes: []bufID{y}, inPlace: in[:1:1],
		run: func(f *frame, w, i0, i1 int) error {
			var residual []float32
			if len(in) > 5 {
				residual = f.piece(w, in[5], i0, i1)
			}
			f.isa.Normalize(f.piece(w, y, i0, i1), f.piece(w, in[0], i0, i1), residual, affine(f), op.relu, m.planes(i1-i0))
			return nil
		},
	}
	if len(in) > 5 {
		apply.reads = []bufID{in[0], in[5]}
		apply.inPlace = apply.reads
	}
	return append([]phase{prepare}, b.perImage(m, apply)...), nil
}

// normScale sets scale = gamma/√(variance+eps), zero in padded lanes.
func normScale(scale, gamma, variance []float32, eps float64) {
	kernels.InvStd(scale[:len(variance)], variance, eps)
	for c, v := range gamma {
		scale[c] *= v
	}
	clear(scale[len(gamma):])
}

// normGrad is the gradient of batch_norm: operands dy, x, gamma, mean, variance, and perhaps y, the
// result of a ReLU after the normalization. Results dx, dgamma, dbeta, and perhaps the gradient
// before that ReLU.
type normGrad struct{ eps float64 }

func (op normGrad) phases(b *binding, s *step) ([]phase, error) {
	m := b.image(s.in[1])
	in, out := b.bufs(s.in), b.bufs(s.out)
	dy, x, dx := in[0], in[1], out[0]
	p := m.padded()
	vectors := b.floats(3 * p) // mean, scale, 1/σ
	slopes := b.floats(4 * p)  // dgamma, dbeta, mean gradient, slope
	t := b.batchOf(m.n)
	sumsOf := b.floats(2 * t.parts * p) // by part: dgamma, dbeta
	part := b.floats(m.n * m.blocks() * kernels.GradPart)
	masked, stored := len(in) > 5, len(out) > 3

	prepare := phase{items: 1, cost: float64(8 * p), whole: in[2:5], writes: []bufID{vectors}, run: func(f *frame, _, _, _ int) error {
		v := f.all(vectors)
		padTo(v[:p], f.all(in[3]))
		normScale(v[p:2*p], f.all(in[2]), f.all(in[4]), op.eps)
		clear(v[2*p:])
		kernels.InvStd(v[2*p:][:m.c], f.all(in[4]), op.eps)
		return nil
	}}
	sums := phase{cost: 2 * float64(m.floats()/m.n), whole: []bufID{vectors}, reads: []bufID{dy, x}, writes: []bufID{part}, run: func(f *frame, w, i0, i1 int) error {
		var y, g []float32
		if masked {
			y = f.piece(w, in[5], i0, i1)
		}
		if stored {
			g = f.piece(w, out[3], i0, i1)
		}
		f.isa.NormGradSums(f.piece(w, part, i0, i1), g, f.piece(w, dy, i0, i1), y, f.piece(w, x, i0, i1), f.all(vectors), m.planes(i1-i0))
		return nil
	}}
	if masked {
		sums.reads = append(sums.reads, in[5])
	}
	if stored {
		sums.writes, sums.inPlace = []bufID{out[3], part}, []bufID{dy}
	}
	merge := phase{items: 1, cost: float64(2 * m.n * p), whole: []bufID{part, vectors}, writes: []bufID{out[1], out[2], slopes, sumsOf}, run: func(f *frame, _, _, _ int) error {
		invstd, v := f.all(vectors)[2*p:], f.all(slopes)
		dgamma, dbeta := v[:p], v[p:2*p]
		parts := f.all(sumsOf)
		for i := range t.parts {
			i0, i1 := t.part(i)
			of := parts[2*i*p:]
			kernels.MergeGradSums(of[p:2*p], of[:p], f.all(part)[i0*m.blocks()*kernels.GradPart:], invstd, i1-i0, m.blocks(), 0, m.blocks())
		}
		t.sum(f.isa, parts, 2*p, 0, 2*p)
		copy(v[:2*p], parts)
		kernels.InputGradOf(kernels.InputGrad{MeanGrad: v[2*p : 3*p], Slope: v[3*p:]}, dbeta, dgamma, invstd, m.n*m.pixels)
		copy(f.all(out[1]), dgamma[:m.c])
		copy(f.all(out[2]), dbeta[:m.c])
		return nil
	}}
	input := phase{cost: 2 * float64(m.floats()/m.n), whole: []bufID{vectors, slopes}, reads: []bufID{dy, x}, writes: []bufID{dx}}
	switch {
	case stored:
		input.reads = []bufID{out[3], x}
	case masked:
		input.reads = []bufID{dy, x, in[5]}
	}
	input.inPlace = input.reads[:1]
	input.run = func(f *frame, w, i0, i1 int) error {
		var y []float32
		if masked && !stored {
			y = f.piece(w, in[5], i0, i1)
		}
		v, sl := f.all(vectors), f.all(slopes)
		d := kernels.InputGrad{Mean: v[:p], Scale: v[p : 2*p], MeanGrad: sl[2*p : 3*p], Slope: sl[3*p:]}
		f.isa.NormGradInput(f.piece(w, dx, i0, i1), f.piece(w, input.reads[0], i0, i1), y, f.piece(w, x, i0, i1), d, m.planes(i1-i0))
		return nil
	}
	return []phase{prepare, b.perImage(m, sums)[0], merge, b.perImage(m, input)[0]}, nil
}
