package backendtest

import (
	"fmt"
	"math"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// maskRows: masks are exact, with ties, with NaN, and when all or no elements are kept. The scores
// of blocks are sums in float64 in order of index, so they are exact, too.
func maskRows() []row {
	withNaN := func(u float64, k int) float64 {
		if k%5 == 2 {
			return math.NaN()
		}
		return coarse(u, k)
	}
	fills := []struct {
		name string
		fill func(float64, int) float64
	}{{"", signed}, {", ties", coarse}, {", NaN", withNaN}}

	var topk, nm, blocks, kept []opCase
	for _, f := range fills {
		for _, ws := range [][][]int{{{1}}, {{16, 3, 3, 3}}, {{17, 5}, {33}, {2, 3, 4}}, {{64, 64, 3, 3}, {10, 64}}} {
			total := 0
			var in []operand
			for _, dims := range ws {
				in = append(in, float(dims...).with(f.fill))
				total += array.Count(dims)
			}
			for _, keep := range []int{0, 1, total / 10, total / 2, total - total/20, total} {
				topk = append(topk, opCase{name: fmt.Sprint(ws, " keep ", keep, f.name), in: in, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
					return b.TopKMask(keep, x...)
				}})
			}
		}
		for _, c := range []struct {
			dims       []int
			n, m, axis int
		}{{[]int{5, 8}, 2, 4, 1}, {[]int{16, 16, 3, 3}, 2, 4, 1}, {[]int{8, 17}, 4, 8, 0}, {[]int{3, 32}, 1, 2, 1}, {[]int{7}, 3, 7, 0}, {[]int{4, 4}, 0, 4, 1}, {[]int{4, 4}, 4, 4, 0}} {
			nm = append(nm, opCase{name: fmt.Sprintf("%v %d:%d axis %d%s", c.dims, c.n, c.m, c.axis, f.name), in: []operand{float(c.dims...).with(f.fill)},
				build: func(b *graph.Builder, x []graph.Node) []graph.Node {
					return []graph.Node{b.NMMask(x[0], c.n, c.m, c.axis)}
				}})
		}
		for _, c := range []struct {
			ws         [][]int
			size, keep int
		}{{[][]int{{16, 3, 3, 3}}, 4, 54}, {[][]int{{8, 5}, {12, 17}}, 4, 20}, {[][]int{{6}}, 2, 1}, {[][]int{{33, 7}}, 1, 100}, {[][]int{{64, 16, 3, 3}, {12, 64}}, 4, 500}} {
			var in []operand
			for _, dims := range c.ws {
				in = append(in, float(dims...).with(f.fill))
			}
			blocks = append(blocks, opCase{name: fmt.Sprintf("%v keep %d of size %d%s", c.ws, c.keep, c.size, f.name), in: in,
				build: func(b *graph.Builder, x []graph.Node) []graph.Node { return b.BlockMask(c.keep, c.size, x...) }})
		}
	}
	for _, n := range sizes {
		kept = append(kept, opCase{name: fmt.Sprint(n), in: []operand{float(n).with(special), bits(n)}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
			return []graph.Node{b.Mask(x[0], x[1])}
		}})
	}
	kept = append(kept, opCase{name: "kernel", in: []operand{float(17, 5, 3, 3), bits(17, 5, 3, 3)}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
		return []graph.Node{b.Mask(x[0], x[1])}
	}})
	return []row{
		{graph.OpTopKMask, exact, exact, topk},
		{graph.OpNMMask, exact, exact, nm},
		{graph.OpBlockMask, exact, exact, blocks},
		{graph.OpMask, exact, exact, kept},
	}
}
