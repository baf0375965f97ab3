package backendtest

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
)

// reduceRows: the terms of a sum may be added in any order. A maximum is one of its operands, and
// equal maxima share the gradient by one division.
func reduceRows() []row {
	type reduction struct {
		dims []int
		keep bool
		axes []int
	}
	reductions := []reduction{
		{[]int{1}, false, nil}, {[]int{17}, false, nil}, {[]int{70001}, false, nil}, {[]int{3, 5}, false, []int{0}}, {[]int{3, 5}, true, []int{1}},
		{[]int{2, 17, 7, 7}, false, []int{0, 2, 3}}, {[]int{2, 16, 9, 8}, false, []int{2, 3}}, {[]int{5, 33, 2, 2}, true, []int{1}},
		{[]int{3, 4, 5}, false, []int{0, 2}}, {[]int{3, 4, 5}, true, []int{1, 2}}, {[]int{33, 65}, false, []int{1}}, {[]int{65, 33}, false, []int{0}}, {[]int{}, false, nil},
	}
	over := func(fill func(float64, int) float64, f func(b *graph.Builder, x graph.Node, keep bool, axes ...int) graph.Node) []opCase {
		var cs []opCase
		for _, r := range reductions {
			x := float(r.dims...).with(fill)
			x.batch = len(r.dims) > 2
			cs = append(cs, opCase{name: fmt.Sprintf("%v over %v keep %v", r.dims, r.axes, r.keep), in: []operand{x},
				build: func(b *graph.Builder, x []graph.Node) []graph.Node {
					return []graph.Node{f(b, x[0], r.keep, r.axes...)}
				}})
		}
		return cs
	}
	maxima := over(coarse, (*graph.Builder).ReduceMax)
	for _, c := range over(special, (*graph.Builder).ReduceMax) {
		c.name, c.forwardOnly = c.name+", special values", true
		maxima = append(maxima, c)
	}
	var positions []opCase
	for _, dims := range [][]int{{1}, {10}, {5, 10}, {3, 1000}, {2, 3, 17}, {70, 2}} {
		for name, fill := range map[string]func(float64, int) float64{"": signed, ", ties": coarse, ", special values": special} {
			positions = append(positions, opCase{name: fmt.Sprint(dims, name), in: []operand{float(dims...).with(fill)},
				build: func(b *graph.Builder, x []graph.Node) []graph.Node { return []graph.Node{b.ArgMax(x[0])} }})
		}
	}
	counts := over(signed, func(b *graph.Builder, x graph.Node, _ bool, axes ...int) graph.Node { return b.Count(x, axes...) })
	return []row{
		{graph.OpSum, within(64, ofTerms), exact, over(signed, (*graph.Builder).Sum)},
		{graph.OpReduceMax, exact, within(4, ofResult), maxima},
		{graph.OpArgMax, exact, exact, positions},
		{graph.OpCount, exact, exact, counts},
	}
}
