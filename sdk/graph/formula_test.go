package graph_test

import (
	"fmt"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// The reference against the formulas of the table, written down once more, index by index, with no
// thought of speed.

func TestConvFormula(t *testing.T) {
	for _, c := range []struct {
		x, w   [4]int
		s      [2]int
		pad    [4]int
		groups int
	}{
		{[4]int{2, 3, 5, 4}, [4]int{4, 3, 3, 3}, [2]int{1, 1}, [4]int{1, 1, 1, 1}, 1},
		{[4]int{1, 4, 6, 5}, [4]int{6, 2, 2, 3}, [2]int{2, 1}, [4]int{0, 1, 2, 0}, 2},
		{[4]int{3, 3, 4, 7}, [4]int{6, 1, 3, 2}, [2]int{1, 3}, [4]int{2, 0, 0, 1}, 3},
		{[4]int{1, 1, 1, 1}, [4]int{1, 1, 3, 3}, [2]int{1, 1}, [4]int{1, 1, 1, 1}, 1},
		// windows that lie in the padding alone
		{[4]int{1, 2, 3, 3}, [4]int{2, 2, 3, 3}, [2]int{2, 2}, [4]int{4, 4, 5, 5}, 1},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			x, w := spaced(1, c.x[:]...).value, spaced(2, c.w[:]...).value
			b := graph.NewBuilder()
			b.Output("y", b.Conv2D(b.Input("x", array.F64, graph.Of(c.x[:]...)), b.Input("w", array.F64, graph.Of(c.w[:]...)),
				graph.ConvAttr{Stride: c.s, Pad: c.pad, Groups: c.groups}))
			got := run(t, program(t, b), x, w)[0]

			element := func(x array.Tensor, n, c, i, j int) float64 {
				if i < 0 || j < 0 || i >= x.Dims[2] || j >= x.Dims[3] {
					return 0
				}
				return x.F64()[((n*x.Dims[1]+c)*x.Dims[2]+i)*x.Dims[3]+j]
			}
			oh := (c.x[2]+c.pad[0]+c.pad[1]-c.w[2])/c.s[0] + 1
			ow := (c.x[3]+c.pad[2]+c.pad[3]-c.w[3])/c.s[1] + 1
			var y []float64
			for n := range c.x[0] {
				for o := range c.w[0] {
					for i := range oh {
						for j := range ow {
							sum := 0.0
							for k := range c.w[1] {
								for p := range c.w[2] {
									for q := range c.w[3] {
										ch := o/(c.w[0]/c.groups)*c.w[1] + k
										sum += element(x, n, ch, i*c.s[0]+p-c.pad[0], j*c.s[1]+q-c.pad[2]) * element(w, o, k, p, q)
									}
								}
							}
							y = append(y, sum)
						}
					}
				}
			}
			near(t, "y", got, floats(dims(c.x[0], c.w[0], oh, ow), y...), 1e-14)
		})
	}
}

func TestMatMulFormula(t *testing.T) {
	for trans := range 4 {
		ta, tb := trans&1 == 1, trans&2 == 2
		t.Run(fmt.Sprint(ta, tb), func(t *testing.T) {
			const batches, m, k, n = 2, 3, 4, 5
			xd, yd := dims(batches, m, k), dims(batches, k, n)
			if ta {
				xd = dims(batches, k, m)
			}
			if tb {
				yd = dims(batches, n, k)
			}
			x, y := spaced(1, xd...).value, spaced(2, yd...).value
			b := graph.NewBuilder()
			b.Output("z", b.MatMul(b.Input("x", array.F64, graph.Of(xd...)), b.Input("y", array.F64, graph.Of(yd...)), ta, tb))
			got := run(t, program(t, b), x, y)[0]
			element := func(x array.Tensor, trans bool, s, i, j int) float64 {
				if trans {
					i, j = j, i
				}
				return x.F64()[(s*x.Dims[1]+i)*x.Dims[2]+j]
			}
			var z []float64
			for s := range batches {
				for i := range m {
					for j := range n {
						sum := 0.0
						for l := range k {
							sum += element(x, ta, s, i, l) * element(y, tb, s, l, j)
						}
						z = append(z, sum)
					}
				}
			}
			near(t, "z", got, floats(dims(batches, m, n), z...), 1e-14)
		})
	}
}

func TestPoolFormula(t *testing.T) {
	for _, a := range []graph.PoolAttr{
		{Kernel: [2]int{3, 2}, Stride: [2]int{1, 2}, Pad: [4]int{1, 0, 0, 1}},
		{Kernel: [2]int{4, 5}, Stride: [2]int{3, 1}, Pad: [4]int{0, 2, 2, 1}},
		{Kernel: [2]int{1, 1}, Stride: [2]int{2, 3}},
	} {
		t.Run(fmt.Sprint(a), func(t *testing.T) {
			const n, c, h, w = 2, 2, 6, 7
			x := spaced(1, n, c, h, w).value
			for k := range x.F64() {
				x.F64()[k] -= 3 // negative, so that a zero from the padding would win
			}
			b := graph.NewBuilder()
			in := b.Input("x", array.F64, graph.Of(n, c, h, w))
			b.Output("max", b.MaxPool(in, a))
			b.Output("mean", b.AvgPool(in, a))
			a.CountPad = true
			b.Output("mean with padding", b.AvgPool(in, a))
			got := run(t, program(t, b), x)
			oh, ow := (h+a.Pad[0]+a.Pad[1]-a.Kernel[0])/a.Stride[0]+1, (w+a.Pad[2]+a.Pad[3]-a.Kernel[1])/a.Stride[1]+1
			var largest, mean, padded []float64
			for s := range n * c {
				for i := range oh {
					for j := range ow {
						top, sum, count := -10.0, 0.0, 0.0
						for p := range a.Kernel[0] {
							for q := range a.Kernel[1] {
								if r, l := i*a.Stride[0]+p-a.Pad[0], j*a.Stride[1]+q-a.Pad[2]; r >= 0 && r < h && l >= 0 && l < w {
									v := x.F64()[(s*h+r)*w+l]
									top, sum, count = max(top, v), sum+v, count+1
								}
							}
						}
						largest, mean = append(largest, top), append(mean, sum/count)
						padded = append(padded, sum/float64(a.Kernel[0]*a.Kernel[1]))
					}
				}
			}
			for i, want := range [][]float64{largest, mean, padded} {
				near(t, fmt.Sprint("result ", i), got[i], floats(dims(n, c, oh, ow), want...), 1e-14)
			}
		})
	}
}
