package cpu

import (
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/graph"
)

// pool2d is pooling over the planes of blocked images, or a gradient of it.
type pool2d struct {
	op   graph.Op
	attr graph.PoolAttr
}

func lowerPool(l *lowering, i graph.Instr) error {
	return l.pool(i, []valueID{l.blockedOf(i.In[0])})
}

func lowerMaxPoolGrad(l *lowering, i graph.Instr) error {
	return l.pool(i, []valueID{l.blockedOf(i.In[0]), l.blockedOf(i.In[1])})
}

func lowerAvgPoolGrad(l *lowering, i graph.Instr) error {
	return l.pool(i, []valueID{l.blockedOf(i.In[0])})
}

func (l *lowering) pool(i graph.Instr, in []valueID) error {
	l.emit(string(i.Op), pool2d{i.Op, i.Attr.(graph.PoolAttr)}, in, []valueID{l.define(i.Out[0], blocked)})
	return nil
}

func (p pool2d) phases(b *binding, s *step) ([]phase, error) {
	small, large := b.dims[s.in[0]], b.dims[s.out[0]] // of a gradient: dy and dx
	if p.op == graph.OpMaxPool || p.op == graph.OpAvgPool {
		small, large = large, small
	}
	w := kernels.Window{
		H: large[2], W: large[3], OutH: small[2], OutW: small[3],
		KernelH: p.attr.Kernel[0], KernelW: p.attr.Kernel[1], StrideH: p.attr.Stride[0], StrideW: p.attr.Stride[1],
		PadTop: p.attr.Pad[0], PadLeft: p.attr.Pad[2],
	}
	m := imageOf(large)
	in, out := b.bufs(s.in), b.buf(s.out[0])
	work := float64(imageOf(small).floats()/m.n*w.KernelH*w.KernelW + m.floats()/m.n)
	return b.perImage(m, phase{cost: work, reads: in, writes: []bufID{out}, run: func(f *frame, wk, i0, i1 int) error {
		to, from := f.piece(wk, out, i0, i1), f.piece(wk, in[0], i0, i1)
		planes := (i1 - i0) * m.blocks()
		switch p.op {
		case graph.OpMaxPool:
			f.isa.MaxPool(to, from, w, 0, planes)
		case graph.OpAvgPool:
			f.isa.AvgPool(to, from, w, p.attr.CountPad, 0, planes)
		case graph.OpMaxPoolGrad:
			f.isa.MaxPoolGrad(to, from, f.piece(wk, in[1], i0, i1), w, 0, planes)
		case graph.OpAvgPoolGrad:
			f.isa.AvgPoolGrad(to, from, w, p.attr.CountPad, 0, planes)
		}
		return nil
	}}), nil
}
