package reference

import (
	"math"

	"github.com/compressaware/cram/sdk/graph"
)

// windows visits each element y of a pooled image, with the positions of its window in x, in
// row-major order, without the padding.
func windows(a graph.PoolAttr, x, y operand, visit func(y int, window []int)) {
	h, w, oh, ow := x.dims[2], x.dims[3], y.dims[2], y.dims[3]
	var window []int
	for k := range y.size() {
		plane, i, j := k/(oh*ow), k/ow%oh, k%ow
		window = window[:0]
		for p := range a.Kernel[0] {
			for q := range a.Kernel[1] {
				r, c := i*a.Stride[0]+p-a.Pad[0], j*a.Stride[1]+q-a.Pad[2]
				if r >= 0 && r < h && c >= 0 && c < w {
					window = append(window, (plane*h+r)*w+c)
				}
			}
		}
		visit(k, window)
	}
}

// first returns the one of the positions that has the first NaN of x or, without one, its first
// maximum.
func first(x []float64, positions []int) int {
	best := positions[0]
	for _, k := range positions[1:] {
		if x[best] < x[k] || math.IsNaN(x[k]) && !math.IsNaN(x[best]) {
			best = k
		}
	}
	return best
}

func maxPool(attr graph.Attr, x, y []operand) error {
	windows(attr.(graph.PoolAttr), x[0], y[0], func(k int, window []int) {
		y[0].f[k] = x[0].f[first(x[0].f, window)]
	})
	return nil
}

func maxPoolGrad(attr graph.Attr, in, out []operand) error {
	dy, x, dx := in[0], in[1], out[0]
	windows(attr.(graph.PoolAttr), x, dy, func(k int, window []int) {
		dx.f[first(x.f, window)] += dy.f[k]
	})
	return nil
}

func avgPool(attr graph.Attr, x, y []operand) error {
	a := attr.(graph.PoolAttr)
	windows(a, x[0], y[0], func(k int, window []int) {
		total := 0.0
		for _, j := range window {
			total += x[0].f[j]
		}
		y[0].f[k] = total / divisor(a, window)
	})
	return nil
}

func avgPoolGrad(attr graph.Attr, in, out []operand) error {
	a, dy, dx := attr.(graph.PoolAttr), in[0], out[0]
	windows(a, dx, dy, func(k int, window []int) {
		for _, j := range window {
			dx.f[j] += dy.f[k] / divisor(a, window)
		}
	})
	return nil
}

func divisor(a graph.PoolAttr, window []int) float64 {
	if a.CountPad {
		return float64(a.Kernel[0] * a.Kernel[1])
	}
	return float64(len(window))
}
