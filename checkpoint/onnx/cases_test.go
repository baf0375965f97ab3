package onnx

import (
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// rowCases lists the uses of each row that its nodes, attributes or shapes depend on.
func rowCases() []rowCase {
	return slices.Concat(sourceCases(), elementwiseCases(), windowCases(), shapeCases(), reduceCases(), normCases())
}

func sourceCases() []rowCase {
	slot := func(b *graph.Builder, name string, d array.DType, dims ...int) graph.Node {
		return b.Slot(graph.Slot{Name: name, Type: graph.Type{DType: d, Shape: graph.Of(dims...)}})
	}
	constant := func(name string, in []operand, f func(*graph.Builder, []graph.Node) graph.Node) rowCase {
		return rowCase{op: graph.OpConst, name: name, in: in, build: f}
	}
	return []rowCase{
		{op: graph.OpInput, name: "given back", in: []operand{images(2, 3)}, build: func(_ *graph.Builder, x []graph.Node) graph.Node { return x[0] }},
		{op: graph.OpSlot, name: "floats and bits", in: []operand{images(2, 19)}, slots: map[string]operand{"w": float(19), "mask": bits(19)},
			build: func(b *graph.Builder, x []graph.Node) graph.Node {
				return b.Mul(x[0], b.Mask(slot(b, "w", array.F32, 19), slot(b, "mask", array.Bit, 19)))
			}},
		{op: graph.OpSlot, name: "named as the output, and doubles", slots: map[string]operand{"y": {dtype: array.F64, dims: []int{3}, f: span(-1, 1)}},
			build: func(b *graph.Builder, _ []graph.Node) graph.Node { return b.Neg(slot(b, "y", array.F64, 3)) }},
		constant("written out", nil, func(b *graph.Builder, _ []graph.Node) graph.Node { return b.Const(array.F32, 0.1, graph.Of(2, 3)) }),
		constant("integers", []operand{ints(9, 5)}, func(b *graph.Builder, x []graph.Node) graph.Node { return b.Less(x[0], b.ConstLike(x[0], 4)) }),
		constant("like a batch", []operand{images(2, 3)}, func(b *graph.Builder, x []graph.Node) graph.Node { return b.Min(x[0], b.ConstLike(x[0], 1)) }),
		constant("joined and repeated", []operand{images(2, 3, 4, 1)}, func(b *graph.Builder, x []graph.Node) graph.Node {
			one := func(v float64) graph.Node { return b.Const(array.F32, v, graph.Of(1, 1, 1)) }
			return b.Sub(x[0], b.Concat(0, one(0.5), one(1), one(-2)))
		}),
		constant("of a batch, written out", []operand{images(2, 3)}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.Concat(1, x[0], b.ConstLike(x[0], 1))
		}),
	}
}

func elementwiseCases() []rowCase {
	unary := func(op graph.Op, in operand, f func(*graph.Builder, graph.Node) graph.Node) rowCase {
		return rowCase{op: op, in: []operand{in}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return f(b, x[0]) }}
	}
	x := images(4, 33)
	cases := []rowCase{
		unary(graph.OpNeg, x, (*graph.Builder).Neg), unary(graph.OpExp, x.in(-20, 20), (*graph.Builder).Exp),
		unary(graph.OpExpm1, x.in(-20, 20), (*graph.Builder).Expm1), unary(graph.OpExpm1, operand{dtype: array.F32, dims: []int{99}, f: tiny}, (*graph.Builder).Expm1),
		unary(graph.OpLog, x.in(0.01, 9), (*graph.Builder).Log), unary(graph.OpSqrt, x.in(0, 9), (*graph.Builder).Sqrt),
		unary(graph.OpTanh, x, (*graph.Builder).Tanh), unary(graph.OpSigmoid, x.in(-20, 20), (*graph.Builder).Sigmoid),
		unary(graph.OpErf, x, (*graph.Builder).Erf), unary(graph.OpAbs, x, (*graph.Builder).Abs), unary(graph.OpRelu, x, (*graph.Builder).Relu),
		unary(graph.OpScale, x, func(b *graph.Builder, x graph.Node) graph.Node { return b.Scale(x, -1.7) }),
		unary(graph.OpShift, x, func(b *graph.Builder, x graph.Node) graph.Node { return b.Shift(x, -1.75) }),
	}
	for _, c := range []struct {
		from operand
		to   array.DType
	}{
		{x, array.I8}, {x, array.I32}, {x, array.I64}, {x, array.F64}, {x.rounded(), array.Bit},
		{ints(1000, 9), array.F32}, {bits(19), array.F32}, {operand{dtype: array.F64, dims: []int{9}, f: span(-1, 1)}, array.F32},
	} {
		cases = append(cases, rowCase{op: graph.OpCast, name: fmt.Sprint(c.from.dtype, " to ", c.to), in: []operand{c.from},
			build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Cast(x[0], c.to) }})
	}
	for _, c := range []struct {
		op graph.Op
		f  func(b *graph.Builder, x, y graph.Node) graph.Node
	}{
		{graph.OpAdd, (*graph.Builder).Add}, {graph.OpSub, (*graph.Builder).Sub}, {graph.OpMul, (*graph.Builder).Mul}, {graph.OpDiv, (*graph.Builder).Div},
		{graph.OpMax, (*graph.Builder).Max}, {graph.OpMin, (*graph.Builder).Min}, {graph.OpLess, (*graph.Builder).Less},
	} {
		for _, in := range [][]operand{
			{images(3, 7), images(3, 7).in(1, 3)},
			{images(3, 17).rounded(), images(3, 17).in(1, 3).rounded()}, // many are equal
			{images(2, 3, 4), float(3, 1).in(1, 3)},
			{float(4), images(2, 3, 4).in(1, 3)},
			{images(2, 3), float().in(1, 3)},
			{float(2, 1, 3), float(4, 1).in(1, 3)}, // both repeat
			{images(2, 1, 3), float(4, 1).in(1, 3)},
			{images(2, 1), float(3).in(1, 3)},
		} {
			cases = append(cases, rowCase{op: c.op, name: fmt.Sprint(in[0].dims, in[1].dims), in: in, build: func(b *graph.Builder, x []graph.Node) graph.Node { return c.f(b, x[0], x[1]) }})
		}
	}
	return append(cases,
		rowCase{op: graph.OpLess, name: "integers", in: []operand{ints(5, 19), ints(5, 19)}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Less(x[0], x[1]) }},
		rowCase{op: graph.OpMask, name: "where a mask is", in: []operand{images(2, 19), {dtype: array.Bit, batch: true, dims: []int{2, 19}, f: span(-1, 1)}},
			build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Mask(x[0], x[1]) }},
	)
}

// windowCases are matrix products, convolutions and poolings.
func windowCases() []rowCase {
	product := func(x, y operand, transA, transB bool) rowCase {
		return rowCase{op: graph.OpMatMul, name: fmt.Sprint(x.dims, y.dims, transA, transB), in: []operand{x, y},
			build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.MatMul(x[0], x[1], transA, transB) }}
	}
	conv := func(name string, x, w operand, a graph.ConvAttr) rowCase {
		return rowCase{op: graph.OpConv2D, name: name, in: []operand{x, w},
			build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Conv2D(x[0], x[1], a) }}
	}
	cases := []rowCase{
		product(images(2, 5), float(5, 3), false, false), product(images(2, 5), float(3, 5), false, true),
		product(float(5, 2), float(5, 3), true, false), product(float(5, 2), float(3, 5), true, true),
		product(images(2, 4, 5), images(2, 5, 3), false, false), product(images(2, 3, 4, 5), images(2, 3, 6, 5), false, true),
		product(images(2, 5, 4), images(2, 5, 3), true, false), product(float(2, 5, 4), float(2, 3, 5), true, true),
		conv("3x3", images(2, 3, 7, 7), float(4, 3, 3, 3), graph.ConvAttr{Pad: [4]int{1, 1, 1, 1}}),
		conv("1x1, stride 2", images(2, 3, 7, 7), float(4, 3, 1, 1), graph.ConvAttr{Stride: [2]int{2, 2}}),
		conv("SAME, padded at the end", images(2, 3, 8, 8), float(4, 3, 3, 3), graph.ConvAttr{Stride: [2]int{2, 2}, Pad: [4]int{0, 1, 0, 1}}),
		conv("nothing square", images(2, 3, 9, 7), float(4, 3, 2, 3), graph.ConvAttr{Stride: [2]int{3, 1}, Pad: [4]int{2, 0, 1, 3}}),
		conv("groups", images(2, 6, 5, 5), float(4, 3, 3, 3), graph.ConvAttr{Groups: 2}),
		conv("depthwise, SAME", images(2, 6, 8, 8), float(6, 1, 3, 3), graph.ConvAttr{Groups: 6, Stride: [2]int{2, 2}, Pad: [4]int{0, 1, 0, 1}}),
		conv("depthwise, two each", images(2, 3, 5, 5), float(6, 1, 3, 3), graph.ConvAttr{Groups: 3, Pad: [4]int{1, 1, 1, 1}}),
	}
	for _, a := range []graph.PoolAttr{
		{Kernel: [2]int{2, 2}},
		{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}},
		{Kernel: [2]int{3, 2}, Stride: [2]int{2, 1}, Pad: [4]int{0, 1, 1, 0}},
		{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}, CountPad: true},
		{Kernel: [2]int{3, 2}, Stride: [2]int{2, 1}, Pad: [4]int{0, 1, 1, 0}, CountPad: true},
		{Kernel: [2]int{8, 9}},
	} {
		in := []operand{images(2, 3, 8, 9).in(-3, -1)} // a zero of the padding would win
		if !a.CountPad {
			cases = append(cases, rowCase{op: graph.OpMaxPool, name: fmt.Sprint(a), in: in, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.MaxPool(x[0], a) }})
		}
		cases = append(cases, rowCase{op: graph.OpAvgPool, name: fmt.Sprint(a), in: in, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.AvgPool(x[0], a) }})
	}
	return cases
}

func shapeCases() []rowCase {
	of := func(op graph.Op, name string, f func(b *graph.Builder, x graph.Node) graph.Node, in ...operand) (cases []rowCase) {
		for _, o := range in {
			cases = append(cases, rowCase{op: op, name: fmt.Sprint(name, " ", o.dtype), in: []operand{o}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return f(b, x[0]) }})
		}
		return cases
	}
	reshaped := func(s graph.Shape) func(*graph.Builder, graph.Node) graph.Node {
		return func(b *graph.Builder, x graph.Node) graph.Node { return b.Reshape(x, s) }
	}
	repeated := func(s graph.Shape) func(*graph.Builder, graph.Node) graph.Node {
		return func(b *graph.Builder, x graph.Node) graph.Node { return b.Broadcast(x, s) }
	}
	permuted := func(perm ...int) func(*graph.Builder, graph.Node) graph.Node {
		return func(b *graph.Builder, x graph.Node) graph.Node { return b.Transpose(x, perm...) }
	}
	sliced := func(begin, end, step []int) func(*graph.Builder, graph.Node) graph.Node {
		return func(b *graph.Builder, x graph.Node) graph.Node { return b.Slice(x, begin, end, step) }
	}
	padded := func(lo, hi []int) func(*graph.Builder, graph.Node) graph.Node {
		return func(b *graph.Builder, x graph.Node) graph.Node { return b.Pad(x, lo, hi, make([]int, len(lo))) }
	}
	joined := func(axis int, in ...operand) rowCase {
		return rowCase{op: graph.OpConcat, name: fmt.Sprint("along ", axis), in: in, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Concat(axis, x...) }}
	}
	picked := func(table, index operand) rowCase {
		return rowCase{op: graph.OpGather, name: fmt.Sprint(table.dims, index.dims), in: []operand{table, index},
			build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Gather(x[0], x[1]) }}
	}
	return slices.Concat(
		of(graph.OpReshape, "fixed", reshaped(graph.Of(3, 2, 2)), float(4, 3), ints(9, 4, 3), bits(4, 3)),
		of(graph.OpReshape, "batch kept", reshaped(graph.Batch(12)), images(2, 3, 4)),
		of(graph.OpReshape, "batch folded", reshaped(graph.Shape{{}, {C: 4}}), images(2, 3, 4)),
		of(graph.OpReshape, "scalar", reshaped(nil), float(1, 1)),
		of(graph.OpReshape, "constant", func(b *graph.Builder, x graph.Node) graph.Node {
			return b.Add(x, b.Reshape(b.Const(array.F32, 2, graph.Of(6)), graph.Of(2, 3)))
		}, float(2, 3)),
		of(graph.OpTranspose, "last two", permuted(0, 2, 1), images(2, 3, 4), ints(9, 2, 3, 4), bits(2, 3, 4)),
		of(graph.OpTranspose, "round", permuted(2, 0, 3, 1), float(2, 3, 4, 5)),
		of(graph.OpBroadcast, "new and ones", repeated(graph.Of(4, 2, 5, 3)), float(2, 1, 3), ints(9, 2, 1, 3), bits(2, 1, 3)),
		of(graph.OpBroadcast, "in a batch", repeated(graph.Batch(2, 3)), images(2, 1, 3)),
		of(graph.OpBroadcast, "to a batch", func(b *graph.Builder, x graph.Node) graph.Node {
			return b.Concat(1, x, b.Broadcast(b.Const(array.F32, 2, graph.Of(3)), graph.Batch(3)))
		}, images(2, 3)),
		of(graph.OpBroadcast, "scalar", repeated(graph.Of(2, 3)), float()),
		of(graph.OpSlice, "steps", sliced([]int{1, 0}, []int{9, -1}, []int{3, 2}), float(9, 8), ints(9, 9, 8), bits(9, 8)),
		of(graph.OpSlice, "batch whole", sliced([]int{0, 2, 1}, []int{-1, 3, -1}, []int{1, 1, 2}), images(2, 3, 6)),
		of(graph.OpSlice, "all", sliced([]int{0, 0}, []int{-1, -1}, []int{1, 1}), images(2, 3)),
		of(graph.OpPad, "both ends", padded([]int{0, 1, 2}, []int{0, 0, 3}), images(2, 3, 4), ints(9, 2, 3, 4), bits(2, 3, 4)),
		[]rowCase{
			joined(0, float(2, 3), float(1, 3), float(4, 3)), joined(1, images(2, 3, 4), images(2, 1, 4)), joined(2, ints(9, 2, 3, 4), ints(9, 2, 3, 1)), joined(0, float(2, 2)),
			picked(float(5, 3), ints(5, 7)), picked(float(4), ints(4, 2, 3)), picked(float(6, 2, 3), ints(6, 2, 2)), picked(float(5, 3), ints(5)),
		},
	)
}

func reduceCases() (cases []rowCase) {
	x := images(2, 3, 5)
	for _, a := range []graph.ReduceAttr{
		{Axes: []int{2}}, {Axes: []int{2}, KeepDims: true}, {Axes: []int{0, 2}}, {Axes: []int{0, 1, 2}}, {Axes: []int{0, 1, 2}, KeepDims: true},
	} {
		name := fmt.Sprint(a)
		cases = append(cases,
			rowCase{op: graph.OpSum, name: name, in: []operand{x}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Sum(x[0], a.KeepDims, a.Axes...) }},
			rowCase{op: graph.OpReduceMax, name: name, in: []operand{x.in(-3, -1)}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.ReduceMax(x[0], a.KeepDims, a.Axes...) }},
			rowCase{op: graph.OpCount, name: name, in: []operand{x}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Mean(x[0], a.KeepDims, a.Axes...) }},
		)
	}
	scalar := []operand{float()} // has no axes, which a reduction over none leaves as it is
	return append(cases,
		rowCase{op: graph.OpSum, name: "none", in: scalar, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Sum(x[0], false) }},
		rowCase{op: graph.OpReduceMax, name: "none", in: scalar, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.ReduceMax(x[0], false) }},
		rowCase{op: graph.OpCount, name: "none", in: scalar, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Count(x[0]) }},
		rowCase{op: graph.OpArgMax, name: "batch", in: []operand{images(9, 3, 7)}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.ArgMax(x[0]) }},
		rowCase{op: graph.OpArgMax, name: "the first of equals", in: []operand{float(99, 5).rounded()}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.ArgMax(x[0]) }},
		rowCase{op: graph.OpArgMax, name: "vector", in: []operand{float(9)}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.ArgMax(x[0]) }},
	)
}

func normCases() []rowCase {
	batch := func(x operand, eps float64) rowCase {
		c := float(x.dims[1])
		return rowCase{op: graph.OpBatchNormInfer, name: fmt.Sprint(x.dims, eps), in: []operand{x, c, c, c, c.in(0.01, 3)},
			build: func(b *graph.Builder, x []graph.Node) graph.Node {
				return b.BatchNormInfer(x[0], x[1], x[2], x[3], x[4], eps)
			}}
	}
	layer := func(x operand, eps float64) rowCase {
		d := float(x.dims[len(x.dims)-1])
		return rowCase{op: graph.OpLayerNorm, name: fmt.Sprint(x.dims, eps), in: []operand{x, d, d},
			build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.LayerNorm(x[0], x[1], x[2], eps) }}
	}
	soft := func(x operand) rowCase {
		return rowCase{op: graph.OpSoftmax, name: fmt.Sprint(x.dims), in: []operand{x}, build: func(b *graph.Builder, x []graph.Node) graph.Node { return b.Softmax(x[0]) }}
	}
	return []rowCase{
		batch(images(4, 3), 1e-5), batch(images(2, 3, 4), 1e-3), batch(images(2, 3, 4, 5), 0.1),
		layer(images(4, 7), 1e-5), layer(images(2, 3, 7), 0.1),
		soft(images(4, 7)), soft(images(2, 3, 7).in(-90, 90)), soft(float(7)),
	}
}
