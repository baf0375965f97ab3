package backendtest

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// shapeRows: an op that only moves elements is exact in every type. The gradients of broadcast and
// gather are sums.
func shapeRows() []row {
	sums := within(32, ofTerms)
	return []row{
		{graph.OpReshape, exact, exact, []opCase{
			moved("split", []int{6, 5}, false, func(b *graph.Builder, x graph.Node) graph.Node { return b.Reshape(x, graph.Of(2, 3, 5)) }),
			moved("flatten", []int{3, 17, 4, 4}, true, func(b *graph.Builder, x graph.Node) graph.Node { return b.Flatten(x, 1) }),
			moved("fold the batch", []int{3, 5, 16}, true, func(b *graph.Builder, x graph.Node) graph.Node {
				return b.Reshape(x, graph.Shape{{}, {C: 16}})
			}),
			moved("scalar", []int{1, 1}, false, func(b *graph.Builder, x graph.Node) graph.Node { return b.Reshape(x, nil) }),
		}},
		{graph.OpTranspose, exact, exact, []opCase{
			transposed(false, []int{5, 3}, 1, 0), transposed(false, []int{7}, 0), transposed(false, []int{33, 17}, 1, 0),
			transposed(true, []int{2, 17, 5, 3}, 0, 2, 3, 1), transposed(true, []int{2, 5, 4, 3}, 0, 2, 1, 3),
			transposed(true, []int{2, 3, 4}, 2, 1, 0), transposed(false, []int{2, 3, 1, 2, 3}, 4, 2, 0, 3, 1),
		}},
		{graph.OpBroadcast, exact, sums, []opCase{
			widened([]int{}, 5), widened([]int{7}, 3, 7), widened([]int{3, 1}, 3, 17), widened([]int{1, 16, 1, 1}, 2, 16, 7, 7),
			widened([]int{2, 1, 3}, 4, 2, 5, 3), widened([]int{1}, 33),
		}},
		{graph.OpSlice, exact, exact, []opCase{
			moved("middle", []int{9}, false, sliced([]int{2}, []int{7}, []int{1})),
			moved("steps", []int{9, 8}, false, sliced([]int{1, 0}, []int{9, -1}, []int{3, 2})),
			moved("batch whole", []int{3, 17, 4}, true, sliced([]int{0, 16, 1}, []int{-1, 17, -1}, []int{1, 1, 2})),
			moved("image", []int{2, 33, 7, 7}, true, sliced([]int{0, 3, 1, 2}, []int{-1, 20, 6, -1}, []int{1, 1, 2, 3})),
		}},
		{graph.OpPad, exact, exact, []opCase{
			moved("both ends", []int{5}, false, padded([]int{2}, []int{3}, []int{0})),
			moved("inner", []int{4, 3}, false, padded([]int{0, 1}, []int{2, 0}, []int{1, 2})),
			moved("image", []int{2, 17, 3, 5}, true, padded([]int{0, 1, 2, 0}, []int{0, 2, 1, 1}, []int{0, 0, 1, 2})),
		}},
		{graph.OpConcat, exact, exact, []opCase{
			joined(0, false, []int{3}, []int{5}, []int{1}), joined(1, true, []int{2, 3, 4}, []int{2, 1, 4}),
			joined(1, true, []int{2, 16, 3, 3}, []int{2, 17, 3, 3}, []int{2, 5, 3, 3}), joined(2, false, []int{2, 3, 4}, []int{2, 3, 1}), joined(0, false, []int{2, 2}),
		}},
		{graph.OpGather, exact, sums, []opCase{
			picked(10, []int{10, 16}, 7), picked(3, []int{3, 5}, 4, 9), picked(1, []int{1}, 33), picked(17, []int{17, 2, 3}, 50),
			{name: "integers", in: []operand{ints(100, 5, 3), ints(5, 8)}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
				return []graph.Node{b.Gather(x[0], x[1])}
			}},
		}},
		{graph.OpScatterAdd, sums, exact, []opCase{
			scattered(5, []int{7, 3}, 7), scattered(2, []int{4, 9, 5}, 4, 9), scattered(17, []int{33}, 33), scattered(1, []int{300, 16}, 300),
		}},
	}
}

// moved is a case of an op that moves elements, with floats, integers and bits.
func moved(name string, dims []int, batch bool, f func(*graph.Builder, graph.Node) graph.Node) opCase {
	in := []operand{float(dims...).with(special), ints(1000, dims...), bits(dims...), {dtype: array.I64, fill: integer, dims: dims}}
	for i := range in {
		in[i].batch = batch
	}
	return opCase{name: name, in: in, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
		y := make([]graph.Node, len(x))
		for i := range x {
			y[i] = f(b, x[i])
		}
		return y
	}}
}

// integer returns 64-bit integers that float64 represents exactly and float32 does not.
func integer(u float64, _ int) float64 { return float64(int64((u - 0.5) * (1 << 50))) }

func transposed(batch bool, dims []int, perm ...int) opCase {
	return moved(fmt.Sprint(dims, " by ", perm), dims, batch, func(b *graph.Builder, x graph.Node) graph.Node { return b.Transpose(x, perm...) })
}

func widened(from []int, to ...int) opCase {
	c := moved(fmt.Sprint(from, " to ", to), from, false, func(b *graph.Builder, x graph.Node) graph.Node { return b.Broadcast(x, graph.Of(to...)) })
	c.in[0] = float(from...)
	return c
}

func sliced(begin, end, step []int) func(*graph.Builder, graph.Node) graph.Node {
	return func(b *graph.Builder, x graph.Node) graph.Node { return b.Slice(x, begin, end, step) }
}

func padded(lo, hi, inner []int) func(*graph.Builder, graph.Node) graph.Node {
	return func(b *graph.Builder, x graph.Node) graph.Node { return b.Pad(x, lo, hi, inner) }
}

func joined(axis int, batch bool, dims ...[]int) opCase {
	c := opCase{name: fmt.Sprint(dims, " along ", axis), build: func(b *graph.Builder, x []graph.Node) []graph.Node {
		return []graph.Node{b.Concat(axis, x...)}
	}}
	for _, d := range dims {
		x := float(d...)
		x.batch = batch
		c.in = append(c.in, x)
	}
	return c
}

func picked(rows int, table []int, index ...int) opCase {
	return opCase{name: fmt.Sprint(table, " at ", index), in: []operand{float(table...), ints(rows, index...)},
		build: func(b *graph.Builder, x []graph.Node) []graph.Node { return []graph.Node{b.Gather(x[0], x[1])} }}
}

func scattered(rows int, src []int, index ...int) opCase {
	return opCase{name: fmt.Sprint(src, " to ", rows), in: []operand{float(src...), ints(rows, index...)},
		build: func(b *graph.Builder, x []graph.Node) []graph.Node {
			return []graph.Node{b.ScatterAdd(x[0], x[1], rows)}
		}}
}
