package backendtest

import (
	"fmt"
	"math"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// sizes of vectors: one, around the widths of registers and unrolled loops, and more than one chunk
// of work.
var sizes = []int{1, 2, 7, 15, 16, 17, 31, 33, 64, 100, 1023, 70001}

// elementwiseRows: IEEE 754 defines + - · / and √ exactly. exp, expm1, log, tanh, sigmoid and erf
// are polynomials with an error of a few units. Their gradients are short products and differences
// of the results, which cancel (1 - y² where |y| is near 1), so their bound is relative to the
// largest element.
func elementwiseRows() []row {
	library, derivative := within(8, ofResult), within(16, ofLargest)
	return []row{
		{graph.OpConst, exact, exact, []opCase{
			{name: "f32", build: func(b *graph.Builder, _ []graph.Node) []graph.Node {
				return []graph.Node{b.Const(array.F32, 0.1, graph.Of(3, 5)), b.Const(array.F32, -2, nil)}
			}},
			{name: "integers", build: func(b *graph.Builder, _ []graph.Node) []graph.Node {
				return []graph.Node{b.Const(array.I32, -7, graph.Of(17)), b.Const(array.I64, 1<<40, graph.Of(2)), b.Const(array.Bit, 1, graph.Of(11))}
			}},
			{name: "batch", in: []operand{batched(3, 2)}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
				return []graph.Node{b.ConstLike(x[0], 4)}
			}},
		}},
		{graph.OpUniform, exact, exact, []opCase{draw(1), draw(5, 7), draw(70001)}},

		unaryRow(graph.OpNeg, exact, exact, (*graph.Builder).Neg, signed, special),
		unaryRow(graph.OpExp, library, derivative, (*graph.Builder).Exp, func(u float64, _ int) float64 { return 40*u - 20 }, special),
		unaryRow(graph.OpExpm1, library, derivative, (*graph.Builder).Expm1, wide, special),
		unaryRow(graph.OpLog, library, derivative, (*graph.Builder).Log, positive, special),
		unaryRow(graph.OpSqrt, exact, within(8, ofResult), (*graph.Builder).Sqrt, positive, special),
		unaryRow(graph.OpTanh, library, derivative, (*graph.Builder).Tanh, wide, special),
		unaryRow(graph.OpSigmoid, library, derivative, (*graph.Builder).Sigmoid, func(u float64, _ int) float64 { return 20*u - 10 }, special),
		unaryRow(graph.OpErf, library, derivative, (*graph.Builder).Erf, wide, special),
		unaryRow(graph.OpAbs, exact, exact, (*graph.Builder).Abs, coarse, special),
		unaryRow(graph.OpRelu, exact, exact, (*graph.Builder).Relu, coarse, special),
		// The reference multiplies by c in float64, other backends by c rounded to float32.
		unaryRow(graph.OpScale, within(2, ofResult), within(2, ofResult),
			func(b *graph.Builder, x graph.Node) graph.Node { return b.Scale(x, 0.3) }, wide, special),
		unaryRow(graph.OpShift, within(2, ofLargest), exact,
			func(b *graph.Builder, x graph.Node) graph.Node { return b.Shift(x, 0.3) }, signed, special),
		{graph.OpCast, exact, exact, casts()},

		binaryRow(graph.OpAdd, exact, exact, (*graph.Builder).Add, wide),
		binaryRow(graph.OpSub, exact, exact, (*graph.Builder).Sub, wide),
		binaryRow(graph.OpMul, exact, exact, (*graph.Builder).Mul, wide),
		binaryRow(graph.OpDiv, exact, within(8, ofResult), (*graph.Builder).Div, positive),
		binaryRow(graph.OpMax, exact, exact, (*graph.Builder).Max, coarse),
		binaryRow(graph.OpMin, exact, exact, (*graph.Builder).Min, coarse),
		binaryRow(graph.OpLess, exact, exact, (*graph.Builder).Less, coarse),
	}
}

func draw(dims ...int) opCase {
	key := operand{array.I64, []int{2}, false, func(u float64, k int) float64 { return math.Floor(u * (1 << 52)) }}
	return opCase{name: fmt.Sprint(dims), in: []operand{key}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
		return []graph.Node{b.Uniform(x[0], 0, array.F32, graph.Of(dims...)), b.Uniform(x[0], 3, array.F32, graph.Of(dims...))}
	}}
}

// unaryRow runs a function of one element over vectors of all sizes and, forward only, over special
// values.
func unaryRow(op graph.Op, forward, backward bound, f func(*graph.Builder, graph.Node) graph.Node, fill, odd func(float64, int) float64) row {
	build := func(b *graph.Builder, x []graph.Node) []graph.Node { return []graph.Node{f(b, x[0])} }
	r := row{op, forward, backward, nil}
	for _, n := range sizes {
		r.cases = append(r.cases, opCase{name: fmt.Sprint(n), in: []operand{float(n).with(fill)}, build: build})
	}
	r.cases = append(r.cases,
		opCase{name: "scalar", in: []operand{float().with(fill)}, build: build},
		opCase{name: "special values", in: []operand{float(200).with(odd)}, build: build, forwardOnly: true},
		opCase{name: "image", in: []operand{batched(3, 17, 5, 7).with(fill)}, build: build})
	return r
}

// binaryRow runs a function of two elements over equal and broadcast shapes. It takes gradients of
// equal shapes only: those of broadcast shapes are sums, which the row of sum covers.
func binaryRow(op graph.Op, forward, backward bound, f func(b *graph.Builder, x, y graph.Node) graph.Node, fill func(float64, int) float64) row {
	build := func(b *graph.Builder, x []graph.Node) []graph.Node { return []graph.Node{f(b, x[0], x[1])} }
	r := row{op, forward, backward, nil}
	for _, n := range sizes {
		r.cases = append(r.cases, opCase{name: fmt.Sprint(n), in: []operand{float(n).with(fill), float(n).with(fill)}, build: build})
	}
	for _, s := range [][2][]int{{{3, 5}, {5}}, {{3, 5}, {3, 1}}, {{4, 1, 6}, {3, 1}}, {{2, 3, 4, 5}, {}}, {{}, {7}}, {{5, 17, 3, 3}, {1, 17, 1, 1}}} {
		r.cases = append(r.cases, opCase{name: fmt.Sprint(s), in: []operand{float(s[0]...).with(fill), float(s[1]...).with(fill)}, build: build, forwardOnly: true})
	}
	// pairs all special values
	rotated := func(u float64, k int) float64 { return special(u, k+3*(k/39)) }
	r.cases = append(r.cases,
		opCase{name: "batch", in: []operand{batched(3, 17), batched(3, 17).with(fill)}, build: build, forwardOnly: true},
		opCase{name: "special values", in: []operand{float(600).with(special), float(600).with(rotated)}, build: build, forwardOnly: true})
	return r
}

// casts are between all types, with numbers that need rounding, truncation and clamping.
func casts() []opCase {
	var cs []opCase
	to := func(d array.DType) func(b *graph.Builder, x []graph.Node) []graph.Node {
		return func(b *graph.Builder, x []graph.Node) []graph.Node { return []graph.Node{b.Cast(x[0], d)} }
	}
	large := func(u float64, k int) float64 { return math.Trunc((2*u - 1) * math.Ldexp(1, 10+k%53)) }
	integers := func(d array.DType, n int) operand { return operand{d, []int{n}, false, large} }
	for _, d := range []array.DType{array.F32, array.I8, array.I32, array.I64, array.Bit} {
		name := func(from array.DType) string { return fmt.Sprintf("%v to %v", from, d) }
		cs = append(cs,
			opCase{name: name(array.I64), in: []operand{integers(array.I64, 99)}, build: to(d)},
			opCase{name: name(array.Bit), in: []operand{bits(99)}, build: to(d)},
			opCase{name: name(array.I32), in: []operand{ints(1000, 99)}, build: to(d)})
		if d != array.F32 {
			cs = append(cs,
				opCase{name: name(array.F32), in: []operand{float(99).with(large)}, build: to(d)},
				opCase{name: name(array.F32) + ", special values", in: []operand{float(200).with(special)}, build: to(d)})
		}
	}
	return append(cs, opCase{name: "there and back", in: []operand{float(33)}, build: func(b *graph.Builder, x []graph.Node) []graph.Node {
		return []graph.Node{b.Scale(b.Cast(b.Cast(x[0], array.I32), array.F32), 1)}
	}, forwardOnly: true})
}
