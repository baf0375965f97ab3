package cpu

import (
	"fmt"
	"slices"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/graph"
)

// mostPlanar is the largest number of channels of a row-major image that a convolution reads as it
// is. In blocks most lanes of such an image would be zero.
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

// convSource returns the input of a convolution: row-major if it has few channels and no blocks.
func (l *lowering) convSource(id graph.ID, s *kernels.ConvShape) valueID {
	if s.Groups == 1 && s.C <= mostPlanar && l.layouts[id].plain != none && !l.isBlocked(id) {
		s.Planar = true
		return l.layouts[id].plain
	}
	return l.blockedOf(id)
}

// convChoice returns the name of a convolution in the plan: "conv1.weight: conv2d 16→16 3×3".
func (l *lowering) convChoice(op graph.Op, w string, s kernels.ConvShape) (name string, err error) {
	name = fmt.Sprintf("%s: %s %d→%d %d×%d", w, op, s.C, s.O, s.KH, s.KW)
	_, err = l.choose(name, "direct")
	return name, err
}

func lowerConv(l *lowering, i graph.Instr) error {
	return l.conv(i, i.Out[0], convTail{bias: -1})
}

// A convTail is computed together with a convolution: the addition of a bias, ReLU.
type convTail struct {
	bias graph.ID // -1: none
	relu bool
}

// conv lowers a convolution. Its result, after its tail, is y. Constant weights are packed here,
// once.
func (l *lowering) conv(i graph.Instr, y graph.ID, tail convTail) error {
	s := l.geometry(l.program.Types[i.In[0]], l.program.Types[i.In[1]], i.Attr.(graph.ConvAttr))
	x := l.convSource(i.In[0], &s)
	kernel, err := l.isa.ConvForward(s)
	if err != nil {
		return err
	}
	name, err := l.convChoice(i.Op, l.nameOf(i.In[1]), s)
	if err != nil {
		return err
	}
	op := conv{kernel: kernel, relu: tail.relu}
	in := []valueID{x}
	if w, b, ok := l.frozenConv(i, tail); ok {
		op.packed = true
		packed, err := l.pack(name, kernel.PackedLen(), func(packed []float32) { kernel.Pack(packed, w) })
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

// frozenConv returns the weights and the bias of a convolution if both are constant; bias is nil if
// there is none.
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

// conv is the forward pass: operands x, w [O, C/groups, KH, KW] and perhaps a bias [O]. If packed,
// w and the bias are in the layout of the kernel.
type conv struct {
	kernel *kernels.ConvForward
	relu   bool
	packed bool
}

func (c conv) phases(b *binding, s *step) ([]phase, error) {
	in, y := b.bufs(s.in), b.buf(s.out[0])
	var ps []phase
	if !c.packed {
		ps = append(ps, c.pack(b, in))
	}
	run := phase{whole: in[1:], reads: in[:1:1], writes: []bufID{y}, scratch: c.kernel.ScratchLen()}
	shape := c.kernel.Shape()
	b.splitImages(&run, b.dims[s.in[0]][0], shape.FLOPs(), shape.OutH(), c.kernel.Panels(), c.kernel.All,
		func(f *frame, w int, part kernels.ConvPart, y, x []float32) {
			var bias []float32
			if len(in) > 2 {
				bias = f.all(in[2])
			}
			c.kernel.Compute(y, x, f.all(in[1]), bias, c.relu, f.scratch[w], part)
		})
	return append(ps, run), nil
}

// pack returns the phase that packs weights and bias, and replaces them in in by the results.
func (c conv) pack(b *binding, in []bufID) phase {
	from := slices.Clone(in[1:])
	for k, n := range []int{c.kernel.PackedLen(), kernels.Blocks(c.kernel.Shape().O) * kernels.Block}[:len(from)] {
		in[1+k] = b.floats(n)
	}
	to := slices.Clone(in[1:])
	return phase{items: 1, cost: float64(2 * c.kernel.PackedLen()), whole: from, writes: to, run: func(f *frame, _, _, _ int) error {
		c.kernel.Pack(f.all(to[0]), f.all(from[0]))
		if len(to) > 1 {
			padTo(f.all(to[1]), f.all(from[1]))
		}
		return nil
	}}
}

// padTo copies src to dst and clears the rest of dst.
func padTo(dst, src []float32) { clear(dst[copy(dst, src):]) }

// splitImages divides the work of a phase that reads x, ph.reads[0], and writes the image y,
// ph.writes[0]: by images, or by rows and panels if there are few images.
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
	kernel, err := l.isa.ConvInputGrad(s)
	if err != nil {
		return err
	}
	name, err := l.convChoice(i.Op, l.nameOf(i.In[1]), s)
	if err != nil {
		return err
	}
	l.emit(name, convInput{kernel}, []valueID{l.blockedOf(i.In[0]), l.plainOf(i.In[1])}, []valueID{l.define(i.Out[0], blocked)})
	return nil
}

// convInput is the gradient with respect to the input: operands dy, w.
type convInput struct{ kernel *kernels.ConvInputGrad }

func (c convInput) phases(b *binding, s *step) ([]phase, error) {
	shape, n := c.kernel.Shape(), b.dims[s.in[0]][0]
	dy, w, dx := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	packed := b.floats(c.kernel.PackedLen())
	pack := phase{items: 1, cost: float64(2 * shape.WeightLen()), whole: []bufID{w}, writes: []bufID{packed}, run: func(f *frame, _, _, _ int) error {
		c.kernel.Pack(f.all(packed), f.all(w))
		return nil
	}}
	run := phase{whole: []bufID{packed}, reads: []bufID{dy}, writes: []bufID{dx}, scratch: c.kernel.ScratchLen()}
	b.splitImages(&run, n, shape.FLOPs(), shape.H, c.kernel.Panels(), c.kernel.All, func(f *frame, w int, part kernels.ConvPart, dx, dy []float32) {
		c.kernel.Compute(dx, dy, f.all(packed), f.scratch[w], part)
	})
	return []phase{pack, run}, nil
}

func lowerConvWeight(l *lowering, i graph.Instr) error {
	a := i.Attr.(graph.ConvAttr)
	s := l.geometry(l.program.Types[i.In[0]], l.program.Types[i.Out[0]], a)
	x := l.convSource(i.In[0], &s)
	kernel, err := l.isa.ConvWeightGrad(s)
	if err != nil {
		return err
	}
	name, err := l.convChoice(i.Op, fmt.Sprintf("%%%d", i.Out[0]), s)
	if err != nil {
		return err
	}
	l.emit(name, convWeight{kernel}, []valueID{x, l.blockedOf(i.In[1])}, []valueID{l.define(i.Out[0], plain)})
	return nil
}

// convWeight is the gradient with respect to the weights, a sum over the batch: operands x, dy.
type convWeight struct{ kernel *kernels.ConvWeightGrad }

// partialBytes bounds the memory for the sums of all parts of a batch, if the panels of output
// channels alone give every worker enough to do.
const partialBytes = 8 << 20

func (c convWeight) phases(b *binding, s *step) ([]phase, error) {
	shape, t := c.kernel.Shape(), b.batchOf(b.dims[s.in[0]][0])
	x, dy, dw := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	length, panels := c.kernel.PartialLen(), c.kernel.Panels()
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
			items: t.parts * panels, cost: cost / float64(t.parts*panels), scratch: c.kernel.ScratchLen(),
			whole: []bufID{x, dy}, writes: []bufID{partials},
			run: func(f *frame, w, i0, i1 int) error {
				for i := i0; i < i1; i++ {
					p := i / panels
					part := c.kernel.All(t.part(p))
					if panels > 1 {
						part.P0, part.P1 = i%panels, i%panels+1
					}
					c.kernel.Compute(f.all(partials)[p*length:(p+1)*length], f.all(x), f.all(dy), f.scratch[w], part)
				}
				return nil
			},
		},
		{
			items: 1, cost: float64(t.parts * length), whole: []bufID{partials}, writes: []bufID{dw},
			run: func(f *frame, _, _, _ int) error {
				t.sum(f.isa, f.all(partials), length, 0, length)
				c.kernel.Unpack(f.all(dw), f.all(partials), c.kernel.All(0, 0))
				return nil
			},
		},
	}, nil
}

// byPanel divides the work by panels of output channels only, which needs less memory.
func (c convWeight) byPanel(b *binding, t batch, x, dy, dw bufID, cost float64) []phase {
	length, panels := c.kernel.PartialLen(), c.kernel.Panels()
	buffers := b.floats(t.depth() * length)
	return []phase{{
		items: panels, cost: cost / float64(panels), scratch: c.kernel.ScratchLen(), whole: []bufID{x, dy}, writes: []bufID{dw, buffers},
		run: func(f *frame, w, i0, i1 int) error {
			sums := func(buffer int) []float32 { return f.all(buffers)[buffer*length : (buffer+1)*length] }
			for panel := i0; panel < i1; panel++ {
				from, to := c.kernel.Panel(panel)
				t.walk(func(p, buffer int) {
					part := c.kernel.All(t.part(p))
					part.P0, part.P1 = panel, panel+1
					c.kernel.Compute(sums(buffer), f.all(x), f.all(dy), f.scratch[w], part)
				}, func(into, other int) {
					f.isa.Add(sums(into)[from:to], sums(into)[from:to], sums(other)[from:to])
				})
				c.kernel.Unpack(f.all(dw), sums(0), kernels.ConvPart{P0: panel, P1: panel + 1})
			}
			return nil
		},
	}}
}
