package backendtest

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
)

// normRows: a normalization subtracts a mean and divides by the root of a sum, and its gradient
// subtracts two more means. An error of some units in a sum changes every element, so the bound is
// relative to the largest element of the tensor. Every channel has three elements or more, because
// the gradient of two normalized elements is only rounding error.
func normRows() []row {
	forward, backward := within(128, ofLargest), within(512, ofLargest)
	var batch, infer, layer, soft, xent []opCase
	for _, dims := range [][]int{{2, 3, 8, 8}, {5, 16, 7, 7}, {3, 17, 2, 2}, {2, 33, 9, 14}, {5, 1, 1, 1}, {7, 5}, {3, 32, 16, 16}, {3, 16, 1, 1}, {4, 5, 3}} {
		vector := func(fill func(float64, int) float64) operand { return float(dims[1]).with(fill) }
		// a mean far from 0
		offset := batched(dims...).with(func(u float64, k int) float64 { return 2*u + 3 + float64(k%7) })
		batch = append(batch, opCase{name: fmt.Sprint(dims), in: []operand{offset, vector(positive), vector(signed)}, first: true,
			build: func(b *graph.Builder, x []graph.Node) []graph.Node {
				y, mean, variance := b.BatchNorm(x[0], x[1], x[2], 1e-5)
				return []graph.Node{y, mean, variance}
			}})
		infer = append(infer, opCase{name: fmt.Sprint(dims), in: []operand{batched(dims...), vector(positive), vector(signed), vector(signed), vector(positive)},
			build: func(b *graph.Builder, x []graph.Node) []graph.Node {
				return []graph.Node{b.BatchNormInfer(x[0], x[1], x[2], x[3], x[4], 1e-5)}
			}})
	}
	for _, dims := range [][]int{{5, 16}, {3, 7, 33}, {1, 2}, {2, 3, 64}, {17, 100}, {10}} {
		width := dims[len(dims)-1]
		x := float(dims...)
		x.batch = len(dims) > 1
		layer = append(layer, opCase{name: fmt.Sprint(dims), in: []operand{x, float(width).with(positive), float(width)},
			build: func(b *graph.Builder, x []graph.Node) []graph.Node {
				return []graph.Node{b.LayerNorm(x[0], x[1], x[2], 1e-5)}
			}})
		for name, factor := range map[string]float64{"": 4, ", large": 1000} {
			x.fill = func(u float64, _ int) float64 { return factor * (2*u - 1) }
			soft = append(soft, opCase{name: fmt.Sprint(dims, name), in: []operand{x}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
				return []graph.Node{b.Softmax(x[0])}
			}})
		}
	}
	for _, dims := range [][2]int{{1, 1}, {5, 10}, {3, 1000}, {7, 2}, {33, 17}} {
		for name, factor := range map[string]float64{"": 4, ", large": 1000} {
			labels := ints(dims[1], dims[0])
			labels.batch = true
			x := batched(dims[0], dims[1]).with(func(u float64, _ int) float64 { return factor * (2*u - 1) })
			xent = append(xent, opCase{name: fmt.Sprint(dims, name), in: []operand{x, labels}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
				return []graph.Node{b.CrossEntropy(x[0], x[1])}
			}})
		}
	}
	return []row{
		{graph.OpBatchNorm, forward, backward, batch},
		{graph.OpBatchNormInfer, within(16, ofLargest), forward, infer},
		{graph.OpLayerNorm, forward, backward, layer},
		{graph.OpSoftmax, within(32, ofLargest), within(64, ofLargest), soft},
		{graph.OpCrossEntropy, within(32, ofLargest), within(32, ofLargest), xent},
	}
}
