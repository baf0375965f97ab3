package kernels

import (
	"fmt"
	"testing"
)

// convBenches are the layers of ResNet-20 on CIFAR-10 at batch 128, and some of ResNet-50.
var convBenches = []struct {
	name  string
	batch int
	shape ConvShape
}{
	{"16-16-32px-3x3", 128, square(16, 32, 16, 3, 1)},
	{"32-32-16px-3x3", 128, square(32, 16, 32, 3, 1)},
	{"64-64-8px-3x3", 128, square(64, 8, 64, 3, 1)},
	{"16-32-32px-3x3s2", 128, square(16, 32, 32, 3, 2)},
	{"32-64-16px-3x3s2", 128, square(32, 16, 64, 3, 2)},
	{"16-32-32px-1x1s2", 128, square(16, 32, 32, 1, 2)},
	{"32-64-16px-1x1s2", 128, square(32, 16, 64, 1, 2)},
	{"3-16-32px-3x3-planar", 128, planar(square(3, 32, 16, 3, 1))},
	{"3-64-224px-7x7s2-planar", 2, planar(square(3, 224, 64, 7, 2))},
	{"64-256-56px-1x1", 4, square(64, 56, 256, 1, 1)},
	{"256-64-56px-1x1", 4, square(256, 56, 64, 1, 1)},
	{"64-64-56px-3x3", 4, square(64, 56, 64, 3, 1)},
	{"256-256-14px-3x3", 4, square(256, 14, 256, 3, 1)},
	{"512-512-7px-3x3", 4, square(512, 7, 512, 3, 1)},
	{"96-56px-3x3-depthwise", 4, func() ConvShape { s := square(96, 56, 96, 3, 1); s.Groups = 96; return s }()},
}

// square returns a convolution of square images with a square kernel of odd size, padded to keep
// the size at stride 1.
func square(c, size, o, kernel, stride int) ConvShape {
	p := kernel / 2
	return ConvShape{C: c, H: size, W: size, O: o, KH: kernel, KW: kernel, StrideH: stride, StrideW: stride,
		Top: p, Bottom: p, Left: p, Right: p, Groups: 1}
}

func planar(s ConvShape) ConvShape { s.Planar = true; return s }

// benchConv times one pass on one thread, including packing and padding, and compares it
// with the peak of the core.
func benchConv(b *testing.B, plan func(isa InstructionSet, s ConvShape, n int) (func(), error)) {
	isa := Supported()
	for _, bench := range convBenches {
		b.Run(fmt.Sprintf("%s/%s", bench.name, isa), func(b *testing.B) {
			run, err := plan(isa, bench.shape, bench.batch)
			if err != nil {
				b.Skip(err)
			}
			benchWithPeak(b, isa, bench.shape.FLOPs()*float64(bench.batch), run)
		})
	}
}

func BenchmarkConvForward(b *testing.B) {
	benchConv(b, func(isa InstructionSet, s ConvShape, n int) (func(), error) {
		f, err := isa.ConvForward(s)
		if err != nil {
			return nil, err
		}
		x, y, w := Floats(n*s.InLen()), Floats(n*s.OutLen()), Floats(s.WeightLen())
		packed, scratch := Floats(f.PackedLen()), Floats(f.ScratchLen())
		return func() {
			f.Pack(packed, w)
			f.Compute(y, x, packed, nil, false, scratch, f.All(n))
		}, nil
	})
}

func BenchmarkConvInputGrad(b *testing.B) {
	benchConv(b, func(isa InstructionSet, s ConvShape, n int) (func(), error) {
		g, err := isa.ConvInputGrad(s)
		if err != nil {
			return nil, err
		}
		dx, dy, w := Floats(n*s.InLen()), Floats(n*s.OutLen()), Floats(s.WeightLen())
		packed, scratch := Floats(g.PackedLen()), Floats(g.ScratchLen())
		return func() {
			g.Pack(packed, w)
			g.Compute(dx, dy, packed, scratch, g.All(n))
		}, nil
	})
}

func BenchmarkConvWeightGrad(b *testing.B) {
	benchConv(b, func(isa InstructionSet, s ConvShape, n int) (func(), error) {
		g, err := isa.ConvWeightGrad(s)
		if err != nil {
			return nil, err
		}
		x, dy, dw := Floats(n*s.InLen()), Floats(n*s.OutLen()), Floats(s.WeightLen())
		sum, other, scratch := Floats(g.PartialLen()), Floats(g.PartialLen()), Floats(g.ScratchLen())
		return func() {
			g.Compute(sum, x, dy, scratch, g.All(0, n/2))
			g.Compute(other, x, dy, scratch, g.All(n/2, n))
			isa.Add(sum, sum, other)
			g.Unpack(dw, sum, g.All(0, 0))
		}, nil
	})
}
