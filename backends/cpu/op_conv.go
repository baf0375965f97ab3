package cpu

import (
	"fmt"

	"github.com/compressaware/cram/backends/cpu/kernels"
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

// image returns a convolution's input: row-major if it has few channels and is nowhere in blocks.
func (l *lowering) convInput(id graph.ID, s *kernels.ConvShape) valueID {
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
	return l.conv(i, i.Out[0], none, false)
}

// conv lowers a convolution whose result, after bias and ReLU, is y.
func (l *lowering) conv(i graph.Instr, y graph.ID, bias valueID, relu bool) error {
	s := l.geometry(l.program.Types[i.In[0]], l.program.Types[i.In[1]], i.Attr.(graph.ConvAttr))
	x := l.convInput(i.In[0], &s)
	plan, err := l.level.ConvForward(s)
	if err != nil {
		return err
	}
	name, err := l.convChoice(i.Op, l.nameOf(i.In[1]), s)
	if err != nil {
		return err
	}
	in := []valueID{x, l.plainOf(i.In[1])}
	if bias != none {
		in = append(in, bias)
	}
	l.emit(name, conv{plan, relu}, in, []valueID{l.define(y, blocked)})
	return nil
}

// conv is the forward pass: operands x, w and perhaps a bias [O].
type conv struct {
	plan *kernels.ConvForward
	relu bool
}

func (c conv) phases(b *binding, s *step) ([]phase, error) {
	shape, n := c.plan.Shape(), b.dims[s.in[0]][0]
	x, w, y := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	packed := b.floats(c.plan.PackedLen())
	pack := phase{items: 1, cost: float64(2 * shape.WeightLen()), whole: []bufID{w}, writes: []bufID{packed}, run: func(f *frame, _, _, _ int) error {
		c.plan.Pack(f.all(packed), f.all(w))
		return nil
	}}
	run := phase{whole: []bufID{packed}, reads: []bufID{x}, writes: []bufID{y}, scratch: c.plan.ScratchLen()}
	bias := bufID(-1)
	if len(s.in) > 2 {
		given := b.buf(s.in[2])
		bias = b.floats(kernels.Blocks(shape.O) * kernels.Block)
		pack.whole, pack.writes = append(pack.whole, given), append(pack.writes, bias)
		pack.run = func(f *frame, _, _, _ int) error {
			c.plan.Pack(f.all(packed), f.all(w))
			padTo(f.all(bias), f.all(given))
			return nil
		}
		run.whole = append(run.whole, bias)
	}
	b.splitImages(&run, n, shape.FLOPs(), shape.OutH(), c.plan.Panels(), c.plan.All, func(f *frame, w int, part kernels.ConvPart, y, x []float32) {
		var added []float32
		if bias >= 0 {
			added = f.all(bias)
		}
		c.plan.Run(y, x, f.all(packed), added, c.relu, f.scratch[w], part)
	})
	return []phase{pack, run}, nil
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
		c.plan.Run(dx, dy, f.all(packed), f.scratch[w], part)
	})
	return []phase{pack, run}, nil
}

func lowerConvWeight(l *lowering, i graph.Instr) error {
	a := i.Attr.(graph.ConvAttr)
	s := l.geometry(l.program.Types[i.In[0]], l.program.Types[i.Out[0]], a)
	x := l.convInput(i.In[0], &s)
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

// convWeight is the gradient with respect to the weights: operands x, dy. It sums over fixed chunks of images, which are then merged in order.
type convWeight struct{ plan *kernels.ConvWeightGrad }

func (c convWeight) phases(b *binding, s *step) ([]phase, error) {
	shape, n := c.plan.Shape(), b.dims[s.in[0]][0]
	x, dy, dw := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	chunks, length := c.plan.Chunks(n), c.plan.PartialLen()
	panels := 1
	if chunks < 2*b.threads {
		panels = c.plan.Panels()
	}
	partials := b.floats(chunks * length)
	return []phase{
		{
			items: chunks * panels, cost: shape.FLOPs() / 32 * float64(n) / float64(chunks*panels), scratch: c.plan.ScratchLen(),
			whole: []bufID{x, dy}, writes: []bufID{partials},
			run: func(f *frame, w, i0, i1 int) error {
				for i := i0; i < i1; i++ {
					chunk := i / panels
					part := c.plan.All(c.plan.Chunk(chunk, n))
					if panels > 1 {
						part.P0, part.P1 = i%panels, i%panels+1
					}
					c.plan.Run(f.all(partials)[chunk*length:(chunk+1)*length], f.all(x), f.all(dy), f.scratch[w], part)
				}
				return nil
			},
		},
		{
			items: 1, cost: float64(chunks * length), whole: []bufID{partials}, writes: []bufID{dw},
			run: func(f *frame, _, _, _ int) error {
				c.plan.Merge(f.all(dw), f.all(partials), chunks)
				return nil
			},
		},
	}, nil
}
