package backendtest

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
)

// products bounds sums of products, forward and backward: every gradient of a sum of products is
// one.
var products = within(64, ofTerms)

func convRows() []row {
	return []row{
		{graph.OpMatMul, products, products, matmulCases()},
		{graph.OpConv2D, products, products, convCases()},
		{graph.OpConv2DDX, products, products, convOfConvCases()},
	}
}

func matmulCases() []opCase {
	var cs []opCase
	add := func(batch []int, m, k, n int) {
		for trans := range 4 {
			ta, tb := trans&1 == 1, trans&2 == 2
			x, y := []int{m, k}, []int{k, n}
			if ta {
				x = []int{k, m}
			}
			if tb {
				y = []int{n, k}
			}
			cs = append(cs, opCase{
				name: fmt.Sprintf("%v %d×%d×%d trans %v %v", batch, m, k, n, ta, tb),
				in:   []operand{float(append(batch[:len(batch):len(batch)], x...)...), float(append(batch[:len(batch):len(batch)], y...)...)},
				build: func(b *graph.Builder, x []graph.Node) []graph.Node {
					return []graph.Node{b.MatMul(x[0], x[1], ta, tb)}
				},
			})
		}
	}
	for _, s := range [][3]int{{1, 1, 1}, {1, 7, 1}, {3, 5, 2}, {5, 1, 33}, {16, 16, 16}, {17, 33, 31}, {1, 64, 10}, {2, 300, 17}, {65, 64, 63}, {130, 9, 100}} {
		add(nil, s[0], s[1], s[2])
	}
	add([]int{3}, 5, 7, 9)
	add([]int{2, 3}, 17, 4, 16)
	return append(cs, opCase{name: "batch", in: []operand{batched(7, 33), float(10, 33)}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
		return []graph.Node{b.MatMul(x[0], x[1], false, true)}
	}})
}

type convCase struct {
	n, c, h, w, o int
	kernel        [2]int
	graph.ConvAttr
}

func (c convCase) String() string {
	return fmt.Sprintf("%d×%d×%d×%d to %d, kernel %v stride %v pad %v groups %d", c.n, c.c, c.h, c.w, c.o, c.kernel, c.Stride, c.Pad, c.Groups)
}

func (c convCase) operands() []operand {
	return []operand{batched(c.n, c.c, c.h, c.w), float(c.o, c.c/c.Groups, c.kernel[0], c.kernel[1])}
}

func same(p int) [4]int { return [4]int{p, p, p, p} }

func stride(s int) [2]int { return [2]int{s, s} }

// convs are the shapes at which blocked kernels change their path: about 16 channels, one pixel,
// odd widths, strides that do not divide, padding on some sides only, groups, depthwise.
func convs() []convCase {
	k := func(n int) [2]int { return [2]int{n, n} }
	conv := func(stride [2]int, pad [4]int, groups int) graph.ConvAttr {
		return graph.ConvAttr{Stride: stride, Pad: pad, Groups: groups}
	}
	return []convCase{
		{1, 1, 1, 1, 1, k(1), conv(stride(1), same(0), 1)},
		{2, 3, 8, 8, 16, k(3), conv(stride(1), same(1), 1)},
		{1, 16, 8, 8, 16, k(3), conv(stride(1), same(1), 1)},
		{3, 16, 9, 7, 32, k(3), conv(stride(2), same(1), 1)},
		{2, 17, 7, 9, 33, k(3), conv(stride(1), same(1), 1)},
		{5, 5, 2, 2, 3, k(3), conv(stride(1), same(1), 1)},
		{2, 33, 14, 14, 17, k(1), conv(stride(1), same(0), 1)},
		{1, 32, 16, 16, 32, k(3), conv(stride(1), same(1), 1)},
		{3, 16, 14, 14, 32, k(1), conv(stride(2), same(0), 1)},
		{2, 3, 16, 16, 5, k(7), conv(stride(2), same(3), 1)},
		{1, 1, 9, 14, 1, k(5), conv(stride(1), same(2), 1)},
		{2, 16, 7, 7, 1, k(7), conv(stride(1), same(0), 1)},
		{2, 5, 8, 9, 17, k(3), conv(stride(2), [4]int{0, 1, 0, 1}, 1)},
		{1, 17, 9, 8, 16, k(3), conv([2]int{1, 2}, [4]int{2, 0, 1, 3}, 1)},
		{2, 3, 14, 2, 16, [2]int{3, 1}, conv(stride(1), [4]int{1, 1, 0, 0}, 1)},
		{2, 16, 1, 16, 33, [2]int{1, 3}, conv(stride(1), [4]int{0, 0, 1, 1}, 1)},
		{1, 32, 8, 8, 32, k(3), conv(stride(1), same(1), 2)},
		{2, 16, 7, 7, 32, k(3), conv(stride(2), same(1), 4)},
		{3, 33, 8, 8, 33, k(3), conv(stride(1), same(1), 33)},
		{1, 16, 9, 9, 16, k(3), conv(stride(2), same(1), 16)},
		{2, 32, 14, 7, 32, k(5), conv(stride(1), same(2), 32)},
		{1, 3, 8, 8, 6, k(3), conv(stride(1), same(1), 3)},
		{5, 32, 2, 1, 16, k(1), conv(stride(1), same(0), 1)},
		{1, 5, 2, 2, 5, k(2), conv(stride(2), same(0), 1)},
		{2, 16, 16, 16, 16, k(2), conv(stride(1), [4]int{0, 1, 1, 0}, 1)},
		{1, 3, 5, 5, 4, k(3), conv(stride(3), same(0), 1)},
		{2, 48, 4, 4, 48, k(3), conv(stride(1), same(1), 3)},
		{1, 8, 4, 4, 8, k(3), conv(stride(1), same(3), 1)},
	}
}

func convCases() []opCase {
	var cs []opCase
	for _, c := range convs() {
		cs = append(cs, opCase{name: c.String(), in: c.operands(), build: func(b *graph.Builder, x []graph.Node) []graph.Node {
			return []graph.Node{b.Conv2D(x[0], x[1], c.ConvAttr)}
		}})
	}
	return cs
}

// convOfConvCases take the gradient of a gradient, which uses conv2d_dx and conv2d_dw forward.
func convOfConvCases() []opCase {
	var cs []opCase
	for i, c := range convs() {
		if i%4 != 1 {
			continue
		}
		cs = append(cs, opCase{name: c.String(), in: c.operands(), build: func(b *graph.Builder, x []graph.Node) []graph.Node {
			return b.Grad(b.Sum(b.Conv2D(x[0], x[1], c.ConvAttr), false), x...)
		}})
	}
	return cs
}
