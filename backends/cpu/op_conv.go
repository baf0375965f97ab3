package cpu

import (
	"fmt"
	"slices"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/graph"
)

// mostPlanar is the largest number of channels for which a row-major image is convolved as it is, rather than in blocks mostly empty.
const mostPlanar = 8

// geometry returns the shape of the convolution of x with w.
func (l *lowering) geometry(x, w graph.Type, a graph.ConvAttr) kernels.ConvShape {
	return kernels.ConvShape{
		C: x.Shape[1].C, H: x.Shape[2].C, W: x.Shape[3].C,
		O: w.Shape[0].C, KH: w.Shape[2].C, KW: w.Shape[3].C,
		StrideH: a.Stride[0], StrideW: a.Stride[1],
		Top: a.Pad[0], Bottom: a.Pad[1], Left: a.Pad[2], Right: a.Pad[3],
		Groups: a.Groups,
	}
}

// convSource returns a convolution's input: row-major if it has few channels and is nowhere in blocks.
func (l *lowering) convSource(id graph.ID, s *kernels.ConvShape) valueID {
	if s.Groups == 1 && s.C <= mostPlanar && l.forms[id].plain != none && !l.isBlocked(id) {
		s.Planar = true
		return l.forms[id].plain
	}
	return l.blockedOf(id)
}

// convChoice names a convolution in the plan: "conv1.weight: conv2d 16→16 3×3".
func (l *lowering) convChoice(op graph.Op, w string, s kernels.ConvShape) (name string, err error) {
	name = fmt.Sprintf("%s: %s %d→%d %d×%d", w, op, s.C, s.O, s.KH, s.KW)
	_, err = l.choose(name, "direct")
	return name, err
}

func lowerConv(l *lowering, i graph.Instr) error {
	return l.conv(i, i.Out[0], convTail{bias: -1})
}

// convTail is what is computed together with a convolution: the addition of a bias, ReLU.
type convTail struct {
	bias graph.ID // -1: none
	relu bool
}

// conv lowers a convolution whose result, after its tail, is y. Constant weights are packed here, once.
func (l *lowering) conv(i graph.Instr, y graph.ID, tail convTail) error {
	s := l.geometry(l.program.Types[i.In[0]], l.program.Types[i.In[1]], i.Attr.(graph.ConvAttr))
	x := l.convSource(i.In[0], &s)
	plan, err := l.level.ConvForward(s)
	if err != nil {
		return err
	}
	name, err := l.convChoice(i.Op, l.nameOf(i.In[1]), s)
	if err != nil {
		return err
	}
	op := conv{plan: plan, relu: tail.relu}
	in := []valueID{x}
	if w, b, ok := l.frozenConv(i, tail); ok {
		op.packed = true
		packed, err := l.pack(name, plan.PackedLen(), func(packed []float32) { plan.Pack(packed, w) })
		if err != nil {
			return err
		}
		in = append(in, packed)
		if b != nil {
			bias, err := l.pack(name, kernels.Blocks(len(b))*kernels.Block, func(packed []float32) { padTo(packed, b) })
			if err != nil {
				return err
			}
			in = append(in, bias)
		}
	} else {
		in = append(in, l.plainOf(i.In[1]))
		if tail.bias >= 0 {
			in = append(in, l.plainOf(tail.bias))
		}
	}
	l.emit(name, op, in, []valueID{l.define(y, blocked)})
	return nil
}

// frozenConv returns the weights and the bias, nil if there is none, of a convolution whose weights and bias are constant.
func (l *lowering) frozenConv(i graph.Instr, tail convTail) (w, bias []float32, ok bool) {
	if w, ok = l.frozenOf(i.In[1]); !ok {
		return nil, nil, false
	}
	if tail.bias >= 0 {
		if bias, ok = l.frozenOf(tail.bias); !ok {
			return nil, nil, false
		}
	}
	return w, bias, true
}

// conv is the forward pass: operands x, w [O C/groups KH KW] and perhaps a bias [O]; where packed, w and the bias are as the kernel wants them.
type conv struct {
	plan   *kernels.ConvForward
	relu   bool
	packed bool
}

func (c conv) phases(b *binding, s *step) ([]phase, error) {
	in, y := b.bufs(s.in), b.buf(s.out[0])
	var ps []phase
	if !c.packed {
		ps = append(ps, c.pack(b, in))
	}
	run := phase{whole: in[1:], reads: in[:1:1], writes: []bufID{y}, scratch: c.plan.ScratchLen()}
	shape := c.plan.Shape()
	b.splitImages(&run, b.dims[s.in[0]][0], shape.FLOPs(), shape.OutH(), c.plan.Panels(), c.plan.All,
		func(f *frame, w int, part kernels.ConvPart, y, x []float32) {
			var bias []float32
			if len(in) > 2 {
				bias = f.all(in[2])
			}
			c.plan.Compute(y, x, f.all(in[1]), bias, c.relu, f.scratch[w], part)
		})
	return append(ps, run), nil
}

// pack is the phase that prepares weights and bias, and puts what it makes in their place in in.
func (c conv) pack(b *binding, in []bufID) phase {
	from := slices.Clone(in[1:])
	for k, n := range []int{c.plan.PackedLen(), kernels.Blocks(c.plan.Shape().O) * kernels.Block}[:len(from)] {
		in[1+k] = b.floats(n)
	}
	to := slices.Clone(in[1:])
	return phase{items: 1, cost: float64(2 * c.plan.PackedLen()), whole: from, writes: to, run: func(f *frame, _, _, _ int) error {
		c.plan.Pack(f.all(to[0]), f.all(from[0]))
		if len(to) > 1 {
			padTo(f.all(to[1]), f.all(from[1]))
		}
		return nil
	}}
}

// padTo copies src to dst and clears what is left of dst.
func padTo(dst, src []float32) { clear(dst[copy(dst, src):]) }

// splitImages divides a pass from x, ph.reads[0], to an image y, ph.writes[0], by images, or by rows and panels where images are few.
func (b *binding) splitImages(ph *phase, n int, flops float64, rows, panels int, all func(n int) kernels.ConvPart,
	run func(f *frame, w int, part kernels.ConvPart, y, x []float32)) {
	x, y := ph.reads[0], ph.writes[0]
	cost := flops / 32
	if b.batched(n) {
		ph.items, ph.local, ph.cost = n, true, cost
		ph.run = func(f *frame, w, i0, i1 int) error {
			run(f, w, all(i1-i0), f.piece(w, y, i0, i1), f.piece(w, x, i0, i1))
			return nil
		}
		return
	}
	strips := min(rows, 4*b.threads)
	if panels >= 4*b.threads {
		strips = 1
	}
	ph.items, ph.cost = n*panels*strips, cost/float64(panels*strips)
	ph.run = func(f *frame, w, i0, i1 int) error {
		for i := i0; i < i1; i++ {
			image, panel, strip := i/(panels*strips), i/strips%panels, i%strips
			part := kernels.ConvPart{
				N0: image, N1: image + 1,
				Y0: rows * strip / strips, Y1: rows * (strip + 1) / strips,
				P0: panel, P1: panel + 1,
			}
			run(f, w, part, f.all(y), f.all(x))
		}
		return nil
	}
}

func lowerConvInput(l *lowering, i graph.Instr) error {
	a := i.Attr.(graph.ConvAttr)
	s := l.geometry(l.program.Types[i.Out[0]], l.program.Types[i.In[1]], a)
	plan, err := l.level.ConvInputGrad(s)
	if err != nil {
		return err
	}
	name, err := l.convChoice(i.Op, l.nameOf(i.In[1]), s)
	if err != nil {
		return err
	}
	l.emit(name, convInput{plan}, []valueID{l.blockedOf(i.In[0]), l.plainOf(i.In[1])}, []valueID{l.define(i.Out[0], blocked)})
	return nil
}

// convInput is the gradient with respect to the input: operands dy, w.
type convInput struct{ plan *kernels.ConvInputGrad }

func (c convInput) phases(b *binding, s *step) ([]phase, error) {
	shape, n := c.plan.Shape(), b.dims[s.in[0]][0]
	dy, w, dx := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	packed := b.floats(c.plan.PackedLen())
	pack := phase{items: 1, cost: float64(2 * shape.WeightLen()), whole: []bufID{w}, writes: []bufID{packed}, run: func(f *frame, _, _, _ int) error {
		c.plan.Pack(f.all(packed), f.all(w))
		return nil
	}}
	run := phase{whole: []bufID{packed}, reads: []bufID{dy}, writes: []bufID{dx}, scratch: c.plan.ScratchLen()}
	b.splitImages(&run, n, shape.FLOPs(), shape.H, c.plan.Panels(), c.plan.All, func(f *frame, w int, part kernels.ConvPart, dx, dy []float32) {
		c.plan.Compute(dx, dy, f.all(packed), f.scratch[w], part)
	})
	return []phase{pack, run}, nil
}

func lowerConvWeight(l *lowering, i graph.Instr) error {
	a := i.Attr.(graph.ConvAttr)
	s := l.geometry(l.program.Types[i.In[0]], l.program.Types[i.Out[0]], a)
	x := l.convSource(i.In[0], &s)
	plan, err := l.level.ConvWeightGrad(s)
	if err != nil {
		return err
	}
	name, err := l.convChoice(i.Op, fmt.Sprintf("%%%d", i.Out[0]), s)
	if err != nil {
		return err
	}
	l.emit(name, convWeight{plan}, []valueID{x, l.blockedOf(i.In[1])}, []valueID{l.define(i.Out[0], plain)})
	return nil
}

// convWeight is the gradient with respect to the weights, a sum over the batch: operands x, dy.
type convWeight struct{ plan *kernels.ConvWeightGrad }

// partialBytes is about how much memory the sums of the parts of a batch take where one worker after another may compute them.
const partialBytes = 8 << 20

func (c convWeight) phases(b *binding, s *step) ([]phase, error) {
	shape, t := c.plan.Shape(), b.batchOf(b.dims[s.in[0]][0])
	x, dy, dw := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	length, panels := c.plan.PartialLen(), c.plan.Panels()
	cost := shape.FLOPs() / 32 * float64(t.n)
	if 4*t.parts*length > partialBytes && panels >= 2*b.threads {
		return c.byPanel(b, t, x, dy, dw, cost), nil
	}
	if t.parts >= 2*b.threads {
		panels = 1
	}
	partials := b.floats(t.parts * length)
	return []phase{
		{
			items: t.parts * panels, cost: cost / float64(t.parts*panels), scratch: c.plan.ScratchLen(),
			whole: []bufID{x, dy}, writes: []bufID{partials},
			run: func(f *frame, w, i0, i1 int) error {
				for i := i0; i < i1; i++ {
					p := i / panels
					part := c.plan.All(t.part(p))
					if panels > 1 {
						part.P0, part.P1 = i%panels, i%panels+1
					}
					c.plan.Compute(f.all(partials)[p*length:(p+1)*length], f.all(x), f.all(dy), f.scratch[w], part)
				}
				return nil
			},
		},
		{
			items: 1, cost: float64(t.parts * length), whole: []bufID{partials}, writes: []bufID{dw},
			run: func(f *frame, _, _, _ int) error {
				t.sum(f.level, f.all(partials), length, 0, length)
				c.plan.Unpack(f.all(dw), f.all(partials), c.plan.All(0, 0))
				return nil
			},
		},
	}, nil
}

// byPanel divides the work by panels of output channels only, so that less memory is needed.
func (c convWeight) byPanel(b *binding, t batch, x, dy, dw bufID, cost float64) []phase {
	length, panels := c.plan.PartialLen(), c.plan.Panels()
	buffers := b.floats(t.depth() * length)
	return []phase{{
		items: panels, cost: cost / float64(panels), scratch: c.plan.ScratchLen(), whole: []bufID{x, dy}, writes: []bufID{dw, buffers},
		run: func(f *frame, w, i0, i1 int) error {
			sums := func(buffer int) []float32 { return f.all(buffers)[buffer*length : (buffer+1)*length] }
			for panel := i0; panel < i1; panel++ {
				from, to := c.plan.Panel(panel)
				t.walk(func(p, buffer int) {
					part := c.plan.All(t.part(p))
					part.P0, part.P1 = panel, panel+1
					c.plan.Compute(sums(buffer), f.all(x), f.all(dy), f.scratch[w], part)
				}, func(into, other int) {
					f.level.Add(sums(into)[from:to], sums(into)[from:to], sums(other)[from:to])
				})
				c.plan.Unpack(f.all(dw), sums(0), kernels.ConvPart{P0: panel, P1: panel + 1})
			}
			return nil
		},
	}}
}
