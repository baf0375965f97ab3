package backendtest

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
)

// poolRows: a maximum is one of its operands. Its gradient is a sum where windows overlap, as are
// the mean and its gradient.
func poolRows() []row {
	type poolCase struct {
		dims [4]int
		graph.PoolAttr
	}
	k := func(h, w, sh, sw int, pad [4]int) graph.PoolAttr {
		return graph.PoolAttr{Kernel: [2]int{h, w}, Stride: [2]int{sh, sw}, Pad: pad}
	}
	var maxima, means []opCase
	for _, c := range []poolCase{
		{[4]int{2, 3, 8, 8}, k(2, 2, 2, 2, same(0))},
		{[4]int{1, 16, 9, 7}, k(2, 2, 2, 2, same(0))},
		{[4]int{3, 17, 14, 14}, k(3, 3, 2, 2, same(1))},
		{[4]int{2, 33, 7, 7}, k(7, 7, 7, 7, same(0))},
		{[4]int{1, 1, 1, 1}, k(1, 1, 1, 1, same(0))},
		{[4]int{5, 5, 2, 2}, k(2, 2, 1, 1, same(1))},
		{[4]int{2, 32, 16, 9}, k(3, 2, 1, 2, [4]int{1, 0, 1, 0})},
		{[4]int{1, 16, 8, 8}, k(5, 5, 3, 3, [4]int{2, 1, 0, 2})},
	} {
		for _, countPad := range []bool{false, true} {
			c.CountPad = countPad
			name := fmt.Sprintf("%v kernel %v stride %v pad %v count pad %v", c.dims, c.Kernel, c.Stride, c.Pad, c.CountPad)
			x := batched(c.dims[:]...)
			mean := opCase{name: name, in: []operand{x}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
				return []graph.Node{b.AvgPool(x[0], c.PoolAttr)}
			}}
			means = append(means, mean)
		}
		name := fmt.Sprintf("%v kernel %v stride %v pad %v", c.dims, c.Kernel, c.Stride, c.Pad)
		build := func(b *graph.Builder, x []graph.Node) []graph.Node {
			return []graph.Node{b.MaxPool(x[0], c.PoolAttr)}
		}
		// padding with 0 would be the maximum
		negative := func(u float64, _ int) float64 { return -u - 1 }
		maxima = append(maxima,
			opCase{name: name, in: []operand{batched(c.dims[:]...).with(negative)}, build: build},
			opCase{name: name + ", ties", in: []operand{batched(c.dims[:]...).with(coarse)}, build: build},
			opCase{name: name + ", special values", in: []operand{batched(c.dims[:]...).with(special)}, build: build, forwardOnly: true})
	}
	return []row{
		{graph.OpMaxPool, exact, within(16, ofLargest), maxima},
		{graph.OpAvgPool, within(32, ofTerms), within(32, ofTerms), means},
	}
}
