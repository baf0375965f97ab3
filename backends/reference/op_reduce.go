package reference

import "github.com/compressaware/cram/sdk/graph"

// reduced returns the strides of the result of a reduction by the axes of its operand: 0 along the
// axes that are reduced.
func reduced(dims, axes []int) []int {
	kept := append([]int(nil), dims...)
	for _, ax := range axes {
		kept[ax] = 1
	}
	along := strides(kept)
	for _, ax := range axes {
		along[ax] = 0
	}
	return along
}

func sum(attr graph.Attr, x, y []operand) error {
	along := reduced(x[0].dims, attr.(graph.ReduceAttr).Axes)
	walk(x[0].dims, 0, along, func(k, j int) { y[0].f[j] += x[0].f[k] })
	return nil
}

func reduceMax(attr graph.Attr, x, y []operand) error {
	along := reduced(x[0].dims, attr.(graph.ReduceAttr).Axes)
	seen := make([]bool, y[0].size())
	walk(x[0].dims, 0, along, func(k, j int) {
		if v := x[0].f[k]; seen[j] {
			y[0].f[j] = larger(y[0].f[j], v)
		} else {
			y[0].f[j], seen[j] = v, true
		}
	})
	return nil
}

func argMax(_ graph.Attr, x, y []operand) error {
	width := x[0].dims[len(x[0].dims)-1]
	positions := make([]int, width)
	for r := range y[0].i {
		for j := range positions {
			positions[j] = r*width + j
		}
		y[0].i[r] = int64(first(x[0].f, positions) - r*width)
	}
	return nil
}

func count(attr graph.Attr, x, y []operand) error {
	n := 1
	for _, ax := range attr.(graph.ReduceAttr).Axes {
		n *= x[0].dims[ax]
	}
	y[0].f[0] = float64(n)
	return nil
}
