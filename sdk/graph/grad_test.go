package graph_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A gradCase is a function whose gradient is compared with central differences. Its F64 inputs are
// differentiated.
type gradCase struct {
	name string
	op   graph.Op // which must appear in the function itself
	in   []input
	f    func(b *graph.Builder, x []graph.Node) graph.Node
}

// An input is a symbolic shape and a value.
type input struct {
	shape graph.Shape // nil: that of the value
	value array.Tensor
}

// spaced returns numbers in (-2, 2) of which no two are nearer than 1/n and none is nearer to zero
// than 1/2n, so that no kink lies between x-h and x+h. seed varies their order.
func spaced(seed int, d ...int) input {
	t, err := array.New(array.F64, d...)
	if err != nil {
		panic(err)
	}
	n := t.Len()
	order := make([]int, n)
	for k := range order {
		order[k] = k
	}
	slices.SortFunc(order, func(i, j int) int {
		key := [2]int64{int64(seed), 0}
		if graph.Uniform(key, 0, i) < graph.Uniform(key, 0, j) {
			return -1
		}
		return 1
	})
	for k, o := range order {
		t.F64()[k] = (float64(o) - float64(n)/2 + 0.25) * 4 / float64(n+1)
	}
	return input{value: t}
}

// positive is spaced moved into (0.5, 4.5).
func positive(seed int, d ...int) input {
	x := spaced(seed, d...)
	for k := range x.value.F64() {
		x.value.F64()[k] += 2.5
	}
	return x
}

// batch makes the first axis the symbol N.
func batch(x input) input {
	x.shape = graph.Batch(x.value.Dims[1:]...)
	return x
}

func given(x array.Tensor) input { return input{value: x} }

func scalarFn(op graph.Op, x input, f func(*graph.Builder, graph.Node) graph.Node) gradCase {
	return gradCase{string(op), op, []input{x}, func(b *graph.Builder, x []graph.Node) graph.Node { return f(b, x[0]) }}
}

// pairFn makes cases of a function of two operands: equal shapes, and shapes that broadcast in
// every way.
func pairFn(op graph.Op, second func(seed int, d ...int) input, f func(b *graph.Builder, x, y graph.Node) graph.Node) []gradCase {
	var cs []gradCase
	for _, s := range [][2][]int{{{7}, {7}}, {{2, 3}, {3}}, {{2, 3}, {2, 1}}, {{3, 1, 2}, {2, 1}}, {{2, 3}, {}}, {{}, {2, 2}}} {
		cs = append(cs, gradCase{fmt.Sprint(op, s), op, []input{spaced(1, s[0]...), second(2, s[1]...)},
			func(b *graph.Builder, x []graph.Node) graph.Node { return f(b, x[0], x[1]) }})
	}
	return append(cs, gradCase{string(op) + " batch", op, []input{batch(spaced(1, 3, 2)), second(2, 2)},
		func(b *graph.Builder, x []graph.Node) graph.Node { return f(b, x[0], x[1]) }})
}

func gradCases() []gradCase {
	cs := []gradCase{
		scalarFn(graph.OpNeg, spaced(1, 5), (*graph.Builder).Neg),
		scalarFn(graph.OpExp, spaced(1, 5), (*graph.Builder).Exp),
		scalarFn(graph.OpExpm1, spaced(1, 5), (*graph.Builder).Expm1),
		scalarFn(graph.OpLog, positive(1, 5), (*graph.Builder).Log),
		scalarFn(graph.OpSqrt, positive(1, 5), (*graph.Builder).Sqrt),
		scalarFn(graph.OpTanh, spaced(1, 5), (*graph.Builder).Tanh),
		scalarFn(graph.OpSigmoid, batch(spaced(1, 5, 2)), (*graph.Builder).Sigmoid),
		scalarFn(graph.OpErf, spaced(1, 5), (*graph.Builder).Erf),
		scalarFn(graph.OpAbs, spaced(1, 8), (*graph.Builder).Abs),
		scalarFn(graph.OpRelu, batch(spaced(1, 4, 2)), (*graph.Builder).Relu),
		scalarFn(graph.OpScale, spaced(1, 5), func(b *graph.Builder, x graph.Node) graph.Node { return b.Scale(x, -1.7) }),
		scalarFn(graph.OpShift, spaced(1, 5), func(b *graph.Builder, x graph.Node) graph.Node { return b.Shift(x, 0.3) }),
		scalarFn(graph.OpSoftmax, batch(spaced(1, 3, 4)), (*graph.Builder).Softmax),
		scalarFn(graph.OpSoftmax, spaced(1, 4), (*graph.Builder).Softmax),
		{"relu_grad", graph.OpReluGrad, []input{spaced(1, 6)}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.Grad(b.Sum(b.Mul(b.Relu(x[0]), b.Mul(x[0], x[0])), false), x[0])[0]
		}},
		// A cast to the same type would vanish, so it goes through F32, whose rounding differences
		// cannot resolve: of integers, exactly.
		{"cast", graph.OpCast, []input{given(vec(1, -2, 3))}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.Cast(b.Cast(x[0], array.F32), array.F64)
		}},
		{"count", graph.OpCount, []input{batch(spaced(1, 3, 2))}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.Div(b.Mul(x[0], x[0]), b.Count(x[0], 0))
		}},
		{"keep", graph.OpMask, []input{spaced(1, 2, 3), given(bitmap(dims(2, 3), 1, 0, 1, 1, 0, 0))}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.Mask(x[0], x[1])
		}},
		{"cross_entropy", graph.OpCrossEntropy, []input{batch(spaced(1, 3, 4)), {graph.Batch(), indices(dims(3), 0, 3, 1)}}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.CrossEntropy(x[0], x[1])
		}},
		{"a value used twice", graph.OpMul, []input{spaced(1, 5)}, func(b *graph.Builder, x []graph.Node) graph.Node {
			y := b.Exp(x[0])
			return b.Add(b.Mul(y, x[0]), b.Mul(y, y))
		}},
		{"norm", graph.OpSqrt, []input{spaced(1, 5), spaced(2, 2, 2)}, func(b *graph.Builder, x []graph.Node) graph.Node { return b.Norm(x...) }},
	}
	return slices.Concat(cs,
		pairFn(graph.OpAdd, spaced, (*graph.Builder).Add), pairFn(graph.OpSub, spaced, (*graph.Builder).Sub),
		pairFn(graph.OpMul, spaced, (*graph.Builder).Mul), pairFn(graph.OpDiv, positive, (*graph.Builder).Div),
		pairFn(graph.OpMax, shifted, (*graph.Builder).Max), pairFn(graph.OpMin, shifted, (*graph.Builder).Min),
		matmulGrads(), convGrads(), poolGrads(), shapeGrads(), reduceGrads(), normGrads())
}

// shifted is spaced moved by an odd amount, so that it shares no value with another spaced.
func shifted(seed int, d ...int) input {
	x := spaced(seed, d...)
	for k := range x.value.F64() {
		x.value.F64()[k] += 0.0173
	}
	return x
}

func matmulGrads() []gradCase {
	var cs []gradCase
	for trans := range 4 {
		ta, tb := trans&1 == 1, trans&2 == 2
		for _, lead := range [][]int{nil, {2}, {2, 1}} {
			x, y := []int{2, 3}, []int{3, 4}
			if ta {
				x = []int{3, 2}
			}
			if tb {
				y = []int{4, 3}
			}
			cs = append(cs, gradCase{fmt.Sprint("matmul ", lead, ta, tb), graph.OpMatMul, []input{spaced(1, slices.Concat(lead, x)...), spaced(2, slices.Concat(lead, y)...)},
				func(b *graph.Builder, x []graph.Node) graph.Node { return b.MatMul(x[0], x[1], ta, tb) }})
		}
	}
	return append(cs, gradCase{"matmul batch", graph.OpMatMul, []input{batch(spaced(1, 4, 3)), spaced(2, 2, 3)},
		func(b *graph.Builder, x []graph.Node) graph.Node { return b.MatMul(x[0], x[1], false, true) }})
}

// convGrads checks conv2d and, through the gradient of a gradient, conv2d_dx and conv2d_dw.
func convGrads() []gradCase {
	var cs []gradCase
	for _, c := range []struct {
		x, w []int
		a    graph.ConvAttr
	}{
		{[]int{2, 2, 4, 3}, []int{3, 2, 3, 3}, graph.ConvAttr{Pad: [4]int{1, 1, 1, 1}}},
		{[]int{1, 2, 5, 4}, []int{2, 2, 2, 3}, graph.ConvAttr{Stride: [2]int{2, 1}, Pad: [4]int{0, 1, 2, 0}}},
		{[]int{2, 4, 3, 3}, []int{2, 2, 2, 2}, graph.ConvAttr{Groups: 2}},
		{[]int{1, 3, 4, 4}, []int{3, 1, 3, 3}, graph.ConvAttr{Groups: 3, Stride: [2]int{2, 2}, Pad: [4]int{1, 0, 0, 1}}},
		{[]int{2, 2, 5, 5}, []int{2, 2, 1, 1}, graph.ConvAttr{Stride: [2]int{3, 2}}},
	} {
		in := []input{batch(spaced(1, c.x...)), spaced(2, c.w...)}
		conv := func(b *graph.Builder, x []graph.Node) graph.Node { return b.Conv2D(x[0], x[1], c.a) }
		cs = append(cs,
			gradCase{fmt.Sprint("conv2d ", c), graph.OpConv2D, in, conv},
			gradCase{fmt.Sprint("conv2d_dx ", c), graph.OpConv2DDX, in, func(b *graph.Builder, x []graph.Node) graph.Node {
				y := conv(b, x)
				return b.Grad(b.Sum(b.Mul(y, b.Mul(y, y)), false), x[0])[0]
			}},
			gradCase{fmt.Sprint("conv2d_dw ", c), graph.OpConv2DDW, in, func(b *graph.Builder, x []graph.Node) graph.Node {
				y := conv(b, x)
				return b.Grad(b.Sum(b.Mul(y, b.Mul(y, y)), false), x[1])[0]
			}})
	}
	return cs
}

func poolGrads() []gradCase {
	var cs []gradCase
	for _, a := range []graph.PoolAttr{
		{Kernel: [2]int{2, 2}},
		{Kernel: [2]int{3, 3}, Stride: [2]int{1, 2}, Pad: [4]int{1, 0, 1, 1}},
		{Kernel: [2]int{2, 3}, Stride: [2]int{2, 1}, Pad: [4]int{1, 1, 0, 1}, CountPad: true},
	} {
		in := []input{batch(spaced(1, 2, 2, 5, 4))}
		cs = append(cs,
			gradCase{fmt.Sprint("max_pool ", a), graph.OpMaxPool, in, func(b *graph.Builder, x []graph.Node) graph.Node { return b.MaxPool(x[0], a) }},
			gradCase{fmt.Sprint("avg_pool ", a), graph.OpAvgPool, in, func(b *graph.Builder, x []graph.Node) graph.Node { return b.AvgPool(x[0], a) }},
			gradCase{fmt.Sprint("avg_pool_grad ", a), graph.OpAvgPoolGrad, in, func(b *graph.Builder, x []graph.Node) graph.Node {
				y := b.AvgPool(x[0], a)
				return b.Grad(b.Sum(b.Mul(y, b.Mul(y, y)), false), x[0])[0]
			}})
	}
	return cs
}

func shapeGrads() []gradCase {
	one := func(name string, op graph.Op, x input, f func(b *graph.Builder, x graph.Node) graph.Node) gradCase {
		return gradCase{name, op, []input{x}, func(b *graph.Builder, x []graph.Node) graph.Node { return f(b, x[0]) }}
	}
	return []gradCase{
		one("reshape", graph.OpReshape, batch(spaced(1, 2, 6)), func(b *graph.Builder, x graph.Node) graph.Node { return b.Reshape(x, graph.Shape{{}, {C: 3}}) }),
		one("transpose", graph.OpTranspose, batch(spaced(1, 2, 3, 2)), func(b *graph.Builder, x graph.Node) graph.Node { return b.Transpose(x, 2, 0, 1) }),
		one("broadcast", graph.OpBroadcast, spaced(1, 2, 1, 2), func(b *graph.Builder, x graph.Node) graph.Node { return b.Broadcast(x, graph.Of(3, 2, 2, 2)) }),
		{"broadcast to a batch", graph.OpBroadcast, []input{spaced(1, 2), batch(spaced(2, 3, 2))}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.Mul(b.Broadcast(x[0], b.Shape(x[1])), x[1])
		}},
		one("slice", graph.OpSlice, batch(spaced(1, 2, 7, 3)), func(b *graph.Builder, x graph.Node) graph.Node {
			return b.Slice(x, []int{0, 1, 0}, []int{-1, 6, 2}, []int{1, 3, 1})
		}),
		one("slice to the end", graph.OpSlice, spaced(1, 8), func(b *graph.Builder, x graph.Node) graph.Node { return b.Slice(x, []int{1}, []int{-1}, []int{4}) }),
		one("pad", graph.OpPad, batch(spaced(1, 2, 3, 2)), func(b *graph.Builder, x graph.Node) graph.Node {
			return b.Pad(x, []int{0, 1, 0}, []int{0, 2, 1}, []int{0, 2, 0})
		}),
		{"concat", graph.OpConcat, []input{batch(spaced(1, 2, 3)), batch(spaced(2, 2, 1)), batch(spaced(3, 2, 2))}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.Concat(1, x...)
		}},
		{"concat of one value twice", graph.OpConcat, []input{spaced(1, 2)}, func(b *graph.Builder, x []graph.Node) graph.Node { return b.Concat(0, x[0], x[0]) }},
		{"gather", graph.OpGather, []input{spaced(1, 4, 2), given(indices(dims(2, 3), 3, 0, 0, 1, 3, 3))}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.Gather(x[0], x[1])
		}},
		{"scatter_add", graph.OpScatterAdd, []input{batch(spaced(1, 3, 2)), {graph.Batch(), indices(dims(3), 2, 0, 2)}}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.ScatterAdd(x[0], x[1], 4)
		}},
	}
}

func reduceGrads() []gradCase {
	var cs []gradCase
	for _, axes := range [][]int{{0}, {1}, {0, 2}, {}} {
		for _, keep := range []bool{false, true} {
			in := []input{batch(spaced(1, 2, 3, 2))}
			cs = append(cs,
				gradCase{fmt.Sprint("sum ", axes, keep), graph.OpSum, in, func(b *graph.Builder, x []graph.Node) graph.Node { return b.Sum(x[0], keep, axes...) }},
				gradCase{fmt.Sprint("mean ", axes, keep), graph.OpSum, in, func(b *graph.Builder, x []graph.Node) graph.Node { return b.Mean(x[0], keep, axes...) }},
				gradCase{fmt.Sprint("reduce_max ", axes, keep), graph.OpReduceMax, in, func(b *graph.Builder, x []graph.Node) graph.Node { return b.ReduceMax(x[0], keep, axes...) }})
		}
	}
	return append(cs, gradCase{"reduce_max of a scalar", graph.OpReduceMax, []input{spaced(1)}, func(b *graph.Builder, x []graph.Node) graph.Node { return b.ReduceMax(x[0], false) }})
}

func normGrads() []gradCase {
	var cs []gradCase
	for _, d := range [][]int{{4, 2, 2, 2}, {3, 2}, {2, 3, 3}} {
		c := d[1]
		cs = append(cs,
			gradCase{fmt.Sprint("batch_norm ", d), graph.OpBatchNorm, []input{batch(spaced(1, d...)), positive(2, c), spaced(3, c)}, func(b *graph.Builder, x []graph.Node) graph.Node {
				y, _, _ := b.BatchNorm(x[0], x[1], x[2], 1e-2)
				return y
			}},
			gradCase{fmt.Sprint("batch_norm_infer ", d), graph.OpBatchNormInfer, []input{batch(spaced(1, d...)), positive(2, c), spaced(3, c), spaced(4, c), positive(5, c)},
				func(b *graph.Builder, x []graph.Node) graph.Node {
					return b.BatchNormInfer(x[0], x[1], x[2], x[3], x[4], 1e-2)
				}})
	}
	for _, d := range [][]int{{2, 3, 4}, {3, 3}, {4}} {
		width := d[len(d)-1]
		cs = append(cs, gradCase{fmt.Sprint("layer_norm ", d), graph.OpLayerNorm, []input{spaced(1, d...), positive(2, width), spaced(3, width)}, func(b *graph.Builder, x []graph.Node) graph.Node {
			return b.LayerNorm(x[0], x[1], x[2], 1e-2)
		}})
	}
	return cs
}

func TestGradients(t *testing.T) {
	done := map[graph.Op]bool{}
	for _, c := range gradCases() {
		done[c.op] = true
		t.Run(c.name, func(t *testing.T) { checkGradient(t, c) })
	}
	for _, d := range graph.Ops() {
		if d.Differentiable() && !done[d.Op] {
			t.Errorf("the gradient of %s has no case", d.Op)
		}
	}
}

// checkGradient compares the gradient of Σ y·c, for an uneven c, with (L(x+h) - L(x-h))/2h, element
// by element. In double precision with h = 1e-5 the difference is good to about h² = 1e-10 times a
// third derivative; a wrong rule is off by far more than the 1e-6 allowed.
func checkGradient(t *testing.T, c gradCase) {
	t.Helper()
	const h, tolerance = 1e-5, 1e-6
	b := graph.NewBuilder()
	x := make([]graph.Node, len(c.in))
	feed := make([]array.Tensor, len(c.in))
	var wrt []graph.Node
	var moved []int
	for i, in := range c.in {
		if in.shape == nil && len(in.value.Dims) > 0 {
			in.shape = graph.Of(in.value.Dims...)
		}
		x[i], feed[i] = b.Input(fmt.Sprintf("x%d", i), in.value.DType, in.shape), in.value.Clone()
		if in.value.DType == array.F64 {
			wrt, moved = append(wrt, x[i]), append(moved, i)
		}
	}
	y := c.f(b, x)
	weights := b.Shift(b.Scale(b.Uniform(b.Input("key", array.I64, graph.Of(2)), 0, array.F64, b.Shape(y)), 2), -0.7)
	feed = append(feed, fill(array.I64, dims(2), 3, 0))
	loss := b.Sum(b.Mul(y, weights), false)
	b.Output("loss", loss)
	forward := *b // the program so far: a copy of the builder ends here
	value := program(t, &forward)
	if value.Count(c.op) == 0 {
		t.Fatalf("the case does not use %s:\n%v", c.op, value)
	}
	for i, g := range b.Grad(loss, wrt...) {
		b.Output(fmt.Sprintf("dx%d", i), g)
	}
	got := run(t, program(t, b), feed...)[1:]
	exe := compile(t, value)
	at := func() float64 {
		out, err := exe.Run(t.Context(), feed, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out[0].F64()[0]
	}
	for j, i := range moved {
		if fmt.Sprint(got[j].Dims) != fmt.Sprint(feed[i].Dims) {
			t.Fatalf("gradient of operand %d has shape %v, want %v", i, got[j].Dims, feed[i].Dims)
		}
		for k, v := range feed[i].F64() {
			h := h
			if c.op == graph.OpCast {
				h = 1 // integers stay exact in F32
			}
			feed[i].F64()[k] = v + h
			up := at()
			feed[i].F64()[k] = v - h
			want := (up - at()) / (2 * h)
			feed[i].F64()[k] = v
			if g := got[j].F64()[k]; !(math.Abs(g-want) <= tolerance*math.Max(1, math.Abs(want))) {
				t.Errorf("gradient of operand %d, element %d: %v, by differences %v", i, k, g, want)
			}
		}
	}
}

func program(t testing.TB, b *graph.Builder) *graph.Program {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Where operands tie or sit on a kink, gradients follow the documentation.
func TestGradientsAtKinks(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []array.Tensor
		f    func(b *graph.Builder, x []graph.Node) graph.Node
		want []array.Tensor
	}{
		{"max", list(vec(1, 2), vec(1, 3)), func(b *graph.Builder, x []graph.Node) graph.Node { return b.Max(x[0], x[1]) }, list(vec(1, 0), vec(0, 1))},
		{"min", list(vec(1, 2), vec(1, 3)), func(b *graph.Builder, x []graph.Node) graph.Node { return b.Min(x[0], x[1]) }, list(vec(1, 1), vec(0, 0))},
		{"abs", list(vec(0, -1)), func(b *graph.Builder, x []graph.Node) graph.Node { return b.Abs(x[0]) }, list(vec(0, -1))},
		{"relu", list(vec(0, -1, 1)), func(b *graph.Builder, x []graph.Node) graph.Node { return b.Relu(x[0]) }, list(vec(0, 0, 1))},
		{"reduce_max", list(vec(3, 1, 3)), func(b *graph.Builder, x []graph.Node) graph.Node { return b.ReduceMax(x[0], false) }, list(vec(0.5, 0, 0.5))},
		{"no dependence", list(vec(1, 2), vec(3, 4)), func(b *graph.Builder, x []graph.Node) graph.Node { return x[0] }, list(vec(1, 1), vec(0, 0))},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := graph.NewBuilder()
			var x []graph.Node
			for i, v := range c.in {
				x = append(x, b.Input(fmt.Sprint(i), v.DType, graph.Of(v.Dims...)))
			}
			for i, g := range b.Grad(b.Sum(c.f(b, x), false), x...) {
				b.Output(fmt.Sprint(i), g)
			}
			for i, g := range run(t, program(t, b), c.in...) {
				near(t, fmt.Sprintf("gradient %d", i), g, c.want[i], 1e-15)
			}
		})
	}
}

func TestGradErrors(t *testing.T) {
	for name, c := range map[string]struct {
		f    func(b *graph.Builder, x graph.Node) graph.Node // returns a loss
		says string
	}{
		"not a scalar": {func(b *graph.Builder, x graph.Node) graph.Node { return b.Exp(x) }, "want a float scalar"},
		"not a float":  {func(b *graph.Builder, x graph.Node) graph.Node { return b.ArgMax(x) }, "want a float scalar"},
		"through a mask": {func(b *graph.Builder, x graph.Node) graph.Node {
			return b.Sum(b.Cast(b.Less(x, b.ConstLike(x, 0)), array.F64), false)
		}, "less has no gradient rule"},
		"through statistics": {func(b *graph.Builder, x graph.Node) graph.Node {
			m := b.Reshape(x, graph.Of(2, 2))
			v := b.Slice(x, []int{0}, []int{2}, []int{1})
			_, mean, _ := b.BatchNorm(m, v, v, 0)
			return b.Sum(mean, false)
		}, "statistics of batch_norm"},
		"none": {func(*graph.Builder, graph.Node) graph.Node { return graph.Node{} }, "node is none"},
	} {
		t.Run(name, func(t *testing.T) {
			b := graph.NewBuilder()
			x := b.Input("x", array.F64, graph.Of(4))
			b.Output("g", b.Grad(c.f(b, x), x)[0])
			_, err := b.Program()
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("want an error with %q, got %v", c.says, err)
			}
		})
	}
}
