package kernels

import (
	"math"
	"testing"
)

var windows = []Window{
	{H: 1, W: 1, OutH: 1, OutW: 1, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1},
	{H: 4, W: 6, OutH: 2, OutW: 3, KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2},
	{H: 7, W: 5, OutH: 4, OutW: 3, KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadTop: 1, PadLeft: 1},
	{H: 5, W: 9, OutH: 5, OutW: 8, KernelH: 3, KernelW: 4, StrideH: 1, StrideW: 1, PadTop: 1, PadLeft: 1},
	{H: 3, W: 3, OutH: 1, OutW: 1, KernelH: 5, KernelW: 5, StrideH: 1, StrideW: 1, PadTop: 1, PadLeft: 0},
}

// poolOracle calls f for each output element, with the indices of the elements of its window.
func (w Window) poolOracle(planes int, f func(out int, in []int)) {
	for p := range planes {
		for oh := range w.OutH {
			for ow := range w.OutW {
				for lane := range Block {
					var in []int
					for i := range w.KernelH {
						for j := range w.KernelW {
							h, v := oh*w.StrideH-w.PadTop+i, ow*w.StrideW-w.PadLeft+j
							if h >= 0 && h < w.H && v >= 0 && v < w.W {
								in = append(in, ((p*w.H+h)*w.W+v)*Block+lane)
							}
						}
					}
					f(((p*w.OutH+oh)*w.OutW+ow)*Block+lane, in)
				}
			}
		}
	}
}

func TestPooling(t *testing.T) {
	const planes = 3
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, w := range windows {
			x, dy := random(1, planes*w.H*w.W*Block), random(2, planes*w.OutH*w.OutW*Block)
			for i := range x {
				x[i] = float32(math.Round(float64(x[i]))) // many equal values: the first one counts
			}
			y, dx := make([]float32, len(dy)), random(3, len(x))
			wantMax, wantMaxGrad := make([]float64, len(y)), make([]float64, len(x))
			w.poolOracle(planes, func(out int, in []int) {
				best := in[0]
				for _, i := range in {
					if x[i] > x[best] {
						best = i
					}
				}
				wantMax[out] = float64(x[best])
				wantMaxGrad[best] += float64(dy[out])
			})
			for p := range planes {
				isa.MaxPool(y, x, w, p, p+1)
				isa.MaxPoolGrad(dx, dy, x, w, p, p+1)
			}
			near(t, "max", y, wantMax, 0)
			near(t, "max gradient", dx, wantMaxGrad, 1e-6)
			portable := make([]float32, len(dx))
			Portable.MaxPoolGrad(portable, dy, x, w, 0, planes)
			sameBits(t, "max gradient", dx, portable)
			for _, countPad := range []bool{false, true} {
				wantAvg, wantAvgGrad := make([]float64, len(y)), make([]float64, len(x))
				w.poolOracle(planes, func(out int, in []int) {
					n := float64(len(in))
					if countPad {
						n = float64(w.KernelH * w.KernelW)
					}
					for _, i := range in {
						wantAvg[out] += float64(x[i]) / n
						wantAvgGrad[i] += float64(dy[out]) / n
					}
				})
				isa.AvgPool(y, x, w, countPad, 0, planes)
				isa.AvgPoolGrad(dx, dy, w, countPad, 0, planes)
				near(t, "average", y, wantAvg, 1e-6)
				near(t, "average gradient", dx, wantAvgGrad, 1e-6)
				Portable.AvgPoolGrad(portable, dy, w, countPad, 0, planes)
				sameBits(t, "average gradient", dx, portable)
			}
		}
	})
}

func TestMaxPoolSeesNaN(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		w := windows[1]
		for at := range 2 * w.W {
			x, y := random(1, w.H*w.W*Block), make([]float32, w.OutH*w.OutW*Block)
			x[at*Block] = float32(math.NaN())
			isa.MaxPool(y, x, w, 0, 1)
			if out := y[at%w.W/2*Block]; out == out {
				t.Errorf("NaN at pixel %d: maximum %v", at, out)
			}
		}
	})
}

func TestPoolingStaysInside(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, w := range windows {
			for _, end := range []bool{false, true} {
				x, dx := guarded(t, w.H*w.W*Block, end), guarded(t, w.H*w.W*Block, end)
				y := guarded(t, w.OutH*w.OutW*Block, end)
				isa.MaxPool(y, x, w, 0, 1)
				isa.MaxPoolGrad(dx, y, x, w, 0, 1)
				isa.AvgPool(y, x, w, true, 0, 1)
				isa.AvgPoolGrad(dx, y, w, true, 0, 1)
			}
		}
	})
}
