package graph_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// An opCase states the results of one op by hand. Floats are F64.
type opCase struct {
	op   graph.Op
	attr graph.Attr
	in   []array.Tensor
	want []array.Tensor
}

func list(ts ...array.Tensor) []array.Tensor { return ts }

// dims writes extents.
func dims(d ...int) []int { return d }

// fill returns a tensor of type d with the given elements.
func fill(d array.DType, dims []int, x ...float64) array.Tensor {
	t, err := array.New(d, dims...)
	if err != nil || t.Len() != len(x) {
		panic(fmt.Sprintf("test literal %v%v with %d elements: %v", d, dims, len(x), err))
	}
	for k, v := range x {
		switch d {
		case array.F32:
			t.F32()[k] = float32(v)
		case array.F64:
			t.F64()[k] = v
		case array.I8:
			t.Data[k] = byte(int8(v))
		case array.I32:
			t.I32()[k] = int32(v)
		case array.I64:
			t.I64()[k] = int64(v)
		case array.Bit:
			if v != 0 {
				t.SetBit(k)
			}
		}
	}
	return t
}

func floats(dims []int, x ...float64) array.Tensor  { return fill(array.F64, dims, x...) }
func indices(dims []int, x ...float64) array.Tensor { return fill(array.I32, dims, x...) }
func bitmap(dims []int, x ...float64) array.Tensor  { return fill(array.Bit, dims, x...) }
func vec(x ...float64) array.Tensor                 { return floats(dims(len(x)), x...) }

var (
	nan  = math.NaN()
	inf  = math.Inf(1)
	nine = floats(dims(1, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9)
	four = floats(dims(1, 1, 2, 2), 1, 2, 3, 4)

	plainConv  = graph.ConvAttr{Stride: [2]int{1, 1}, Groups: 1}
	stridedPad = graph.ConvAttr{Stride: [2]int{2, 2}, Pad: [4]int{1, 0, 0, 1}, Groups: 1}
	overlap    = graph.PoolAttr{Kernel: [2]int{2, 2}, Stride: [2]int{1, 1}}
)

func sized(a graph.ConvAttr, h, w int) graph.ConvAttr {
	a.Size = [2]int{h, w}
	return a
}

func poolPad(countPad bool, size [2]int) graph.PoolAttr {
	return graph.PoolAttr{Kernel: [2]int{2, 2}, Stride: [2]int{1, 1}, Pad: [4]int{1, 1, 1, 1}, CountPad: countPad, Size: size}
}

func oneOperand(op graph.Op, x, y []float64) opCase {
	return opCase{op, nil, list(vec(x...)), list(vec(y...))}
}

func twoOperands(op graph.Op, x, y, z []float64) opCase {
	return opCase{op, nil, list(vec(x...), vec(y...)), list(vec(z...))}
}

func opCases() []opCase {
	x3 := vec(1, 2, 3)
	return []opCase{
		{graph.OpConst, graph.ConstAttr{DType: array.F64, Shape: graph.Of(2), Value: 0.1}, nil, list(vec(0.1, 0.1))},
		{graph.OpConst, graph.ConstAttr{DType: array.I32, Shape: nil, Value: -3}, nil, list(indices(nil, -3))},
		{graph.OpUniform, graph.UniformAttr{Stream: 5, DType: array.F64, Shape: graph.Of(2, 3)}, list(fill(array.I64, dims(2), 1<<40+7, 9)),
			list(floats(dims(2, 3), draws([2]int64{1<<40 + 7, 9}, 5, 6)...))},

		oneOperand(graph.OpNeg, []float64{1, -2, 0}, []float64{-1, 2, 0}),
		oneOperand(graph.OpExp, []float64{0, 1, -inf, 800}, []float64{1, math.E, 0, inf}),
		oneOperand(graph.OpExpm1, []float64{0, 1, 1e-10}, []float64{0, math.E - 1, 1e-10 + 5e-21}),
		oneOperand(graph.OpLog, []float64{1, math.E, 0, -1}, []float64{0, 1, -inf, nan}),
		oneOperand(graph.OpSqrt, []float64{4, 2, 0, -1}, []float64{2, math.Sqrt2, 0, nan}),
		// (4-1)/(4+1)
		oneOperand(graph.OpTanh, []float64{0, math.Ln2, -inf}, []float64{0, 0.6, -1}),
		oneOperand(graph.OpSigmoid, []float64{0, math.Log(3), -inf, 1000}, []float64{0.5, 0.75, 0, 1}),
		oneOperand(graph.OpErf, []float64{0, 0.5, -1, inf}, []float64{0, 0.5204998778130465, -0.8427007929497149, 1}),
		oneOperand(graph.OpAbs, []float64{-2, 3, 0}, []float64{2, 3, 0}),
		oneOperand(graph.OpRelu, []float64{-1, 0, 2, nan, -inf}, []float64{0, 0, 2, nan, 0}),
		twoOperands(graph.OpReluGrad, []float64{5, 6, 7, 8}, []float64{1, 0, -1, nan}, []float64{5, 0, 0, 0}),
		{graph.OpScale, graph.ScalarAttr{C: -2}, list(x3), list(vec(-2, -4, -6))},
		{graph.OpShift, graph.ScalarAttr{C: 0.5}, list(x3), list(vec(1.5, 2.5, 3.5))},
		{graph.OpCast, graph.CastAttr{DType: array.I32}, list(vec(1.9, -1.9, nan, 1e12, -inf)), list(indices(dims(5), 1, -1, 0, math.MaxInt32, math.MinInt32))},
		{graph.OpCast, graph.CastAttr{DType: array.Bit}, list(vec(0, 0.5, -1)), list(bitmap(dims(3), 0, 1, 1))},
		{graph.OpCast, graph.CastAttr{DType: array.F64}, list(bitmap(dims(3), 1, 0, 1)), list(vec(1, 0, 1))},
		// both halfway: to even
		{graph.OpCast, graph.CastAttr{DType: array.F32}, list(vec(1+math.Ldexp(1, -24), 1+math.Ldexp(3, -24))),
			list(fill(array.F32, dims(2), 1, 1+math.Ldexp(1, -22)))},

		twoOperands(graph.OpAdd, []float64{1, 2}, []float64{10, inf}, []float64{11, inf}),
		twoOperands(graph.OpSub, []float64{1, inf}, []float64{10, inf}, []float64{-9, nan}),
		twoOperands(graph.OpMul, []float64{2, 0}, []float64{10, inf}, []float64{20, nan}),
		twoOperands(graph.OpDiv, []float64{2, 1, 0}, []float64{8, 0, 0}, []float64{0.25, inf, nan}),
		twoOperands(graph.OpMax, []float64{1, 3, nan, 1}, []float64{2, -4, 1, nan}, []float64{2, 3, nan, nan}),
		twoOperands(graph.OpMin, []float64{1, 3, nan, 1}, []float64{2, -4, 1, nan}, []float64{1, -4, nan, nan}),
		{graph.OpLess, nil, list(vec(1, 2, 3, nan), vec(2, 2, 2, 1)), list(bitmap(dims(4), 1, 0, 0, 0))},
		{graph.OpLess, nil, list(indices(dims(2), 1, 5), indices(dims(2), 4, 4)), list(bitmap(dims(2), 1, 0))},

		{graph.OpMatMul, graph.MatMulAttr{}, list(floats(dims(2, 3), 1, 2, 3, 4, 5, 6), floats(dims(3, 1), 1, 10, 100)), list(floats(dims(2, 1), 321, 654))},
		{graph.OpMatMul, graph.MatMulAttr{TransA: true, TransB: true}, list(floats(dims(3, 2), 1, 4, 2, 5, 3, 6), floats(dims(1, 3), 1, 10, 100)), list(floats(dims(2, 1), 321, 654))},
		{graph.OpMatMul, graph.MatMulAttr{TransB: true}, list(floats(dims(2, 1, 2), 1, 2, 3, 4), floats(dims(2, 1, 2), 5, 6, 7, 8)), list(floats(dims(2, 1, 1), 17, 53))},
		{graph.OpConv2D, plainConv, list(nine, four), list(floats(dims(1, 1, 2, 2), 37, 47, 67, 77))},
		{graph.OpConv2D, stridedPad, list(nine, four), list(floats(dims(1, 1, 2, 2), 11, 9, 67, 33))},
		{graph.OpConv2D, graph.ConvAttr{Stride: [2]int{1, 1}, Groups: 2}, list(floats(dims(1, 2, 1, 1), 2, 3), floats(dims(2, 1, 1, 1), 5, 7)), list(floats(dims(1, 2, 1, 1), 10, 21))},
		{graph.OpConv2DDX, sized(stridedPad, 3, 3), list(floats(dims(1, 1, 2, 2), 1, 10, 100, 1000), four),
			list(floats(dims(1, 1, 3, 3), 3, 4, 30, 100, 200, 1000, 300, 400, 3000))},
		{graph.OpConv2DDW, sized(stridedPad, 2, 2), list(nine, floats(dims(1, 1, 2, 2), 1, 10, 100, 1000)),
			list(floats(dims(1, 1, 2, 2), 6400, 500, 9731, 802))},
		{graph.OpMaxPool, overlap, list(floats(dims(1, 1, 3, 3), 1, 5, 2, 5, 3, -1, 0, 9, 9)), list(floats(dims(1, 1, 2, 2), 5, 5, 9, 9))},
		{graph.OpMaxPool, poolPad(false, [2]int{}), list(floats(dims(1, 1, 1, 1), -3)), list(floats(dims(1, 1, 2, 2), -3, -3, -3, -3))},
		{graph.OpMaxPool, overlap, list(floats(dims(1, 1, 2, 3), 1, 2, nan, 3, 4, 5)), list(floats(dims(1, 1, 1, 2), 4, nan))},
		{graph.OpMaxPoolGrad, overlap, list(floats(dims(1, 1, 2, 2), 1, 10, 100, 1000), floats(dims(1, 1, 3, 3), 1, 5, 2, 5, 3, -1, 0, 9, 9)),
			list(floats(dims(1, 1, 3, 3), 0, 11, 0, 0, 0, 0, 0, 1100, 0))},
		{graph.OpAvgPool, poolPad(true, [2]int{}), list(four), list(floats(dims(1, 1, 3, 3), 0.25, 0.75, 0.5, 1, 2.5, 1.5, 0.75, 1.75, 1))},
		{graph.OpAvgPool, poolPad(false, [2]int{}), list(four), list(floats(dims(1, 1, 3, 3), 1, 1.5, 2, 2, 2.5, 3, 3, 3.5, 4))},
		{graph.OpAvgPoolGrad, poolPad(false, [2]int{2, 2}), list(floats(dims(1, 1, 3, 3), 1, 1, 1, 1, 1, 1, 1, 1, 1)), list(floats(dims(1, 1, 2, 2), 2.25, 2.25, 2.25, 2.25))},
		{graph.OpAvgPoolGrad, poolPad(true, [2]int{2, 2}), list(floats(dims(1, 1, 3, 3), 4, 0, 0, 0, 8, 0, 0, 0, 0)), list(floats(dims(1, 1, 2, 2), 3, 2, 2, 2))},

		{graph.OpReshape, graph.ReshapeAttr{Shape: graph.Of(3, 2)}, list(floats(dims(2, 3), 1, 2, 3, 4, 5, 6)), list(floats(dims(3, 2), 1, 2, 3, 4, 5, 6))},
		{graph.OpTranspose, graph.TransposeAttr{Perm: []int{1, 0}}, list(floats(dims(2, 3), 1, 2, 3, 4, 5, 6)), list(floats(dims(3, 2), 1, 4, 2, 5, 3, 6))},
		{graph.OpTranspose, graph.TransposeAttr{Perm: []int{2, 0, 1}}, list(indices(dims(1, 2, 3), 1, 2, 3, 4, 5, 6)), list(indices(dims(3, 1, 2), 1, 4, 2, 5, 3, 6))},
		{graph.OpBroadcast, graph.ReshapeAttr{Shape: graph.Of(2, 2, 3)}, list(floats(dims(2, 1), 1, 2)), list(floats(dims(2, 2, 3), 1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2))},
		{graph.OpSlice, graph.SliceAttr{Begin: []int{0, 1}, End: []int{-1, 4}, Step: []int{1, 2}}, list(floats(dims(2, 4), 0, 1, 2, 3, 4, 5, 6, 7)), list(floats(dims(2, 2), 1, 3, 5, 7))},
		{graph.OpPad, graph.PadAttr{Lo: []int{1, 0}, Hi: []int{0, 2}, Inner: []int{0, 1}}, list(floats(dims(1, 2), 1, 2)), list(floats(dims(2, 5), 0, 0, 0, 0, 0, 1, 0, 2, 0, 0))},
		{graph.OpConcat, graph.ConcatAttr{Axis: 1}, list(floats(dims(2, 1), 1, 2), floats(dims(2, 2), 3, 4, 5, 6)), list(floats(dims(2, 3), 1, 3, 4, 2, 5, 6))},
		{graph.OpGather, nil, list(floats(dims(3, 2), 1, 2, 3, 4, 5, 6), indices(dims(2, 1), 2, 0)), list(floats(dims(2, 1, 2), 5, 6, 1, 2))},
		{graph.OpScatterAdd, graph.ScatterAddAttr{Rows: 3}, list(floats(dims(3, 2), 1, 2, 3, 4, 5, 6), indices(dims(3), 2, 0, 2)), list(floats(dims(3, 2), 3, 4, 0, 0, 6, 8))},

		{graph.OpSum, graph.ReduceAttr{Axes: []int{0, 2}}, list(floats(dims(2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8)), list(vec(14, 22))},
		{graph.OpSum, graph.ReduceAttr{Axes: []int{1}, KeepDims: true}, list(floats(dims(2, 2), 1, 2, 3, 4)), list(floats(dims(2, 1), 3, 7))},
		{graph.OpSum, graph.ReduceAttr{}, list(vec(1, 2)), list(vec(1, 2))},
		{graph.OpReduceMax, graph.ReduceAttr{Axes: []int{1}}, list(floats(dims(3, 2), -1, -2, 3, 4, nan, 1)), list(vec(-1, 4, nan))},
		{graph.OpArgMax, nil, list(floats(dims(3, 3), 1, 7, 7, -1, -2, -3, 1, nan, 5)), list(indices(dims(3), 1, 0, 1))},
		{graph.OpCount, graph.ReduceAttr{Axes: []int{0, 2}}, list(floats(dims(2, 1, 3), 0, 0, 0, 0, 0, 0)), list(floats(nil, 6))},

		{graph.OpBatchNorm, graph.NormAttr{}, list(floats(dims(2, 2), 1, 10, 3, 30), vec(2, 1), vec(0, 5)), list(floats(dims(2, 2), -2, 4, 2, 6), vec(2, 20), vec(1, 100))},
		{graph.OpBatchNorm, graph.NormAttr{Eps: 3}, list(floats(dims(1, 1, 2), 1, 3), vec(4), vec(0)), list(floats(dims(1, 1, 2), -2, 2), vec(2), vec(1))},
		{graph.OpBatchNormGrad, graph.NormAttr{}, list(floats(dims(4, 1), 1, 0, 0, 0), floats(dims(4, 1), -1, 1, -1, 1), vec(2), vec(0), vec(1)), list(floats(dims(4, 1), 1, 0, -1, 0), vec(-1), vec(1))},
		{graph.OpBatchNormInfer, graph.NormAttr{}, list(floats(dims(1, 2), 1, 10), vec(2, 1), vec(0, 5), vec(0, 8), vec(4, 1)), list(floats(dims(1, 2), 1, 7))},
		{graph.OpLayerNorm, graph.NormAttr{}, list(floats(dims(2, 2), 1, 3, 10, 30), vec(2, 1), vec(0, 5)), list(floats(dims(2, 2), -2, 6, -2, 6), vec(2, 20), vec(1, 100))},
		{graph.OpLayerNormGrad, graph.NormAttr{}, list(floats(dims(1, 4), 1, 0, 0, 0), floats(dims(1, 4), -1, 1, -1, 1), vec(2, 9, 9, 9), vec(0), vec(1)),
			list(floats(dims(1, 4), 1, 0, -1, 0), vec(-1, 0, 0, 0), vec(1, 0, 0, 0))},
		{graph.OpSoftmax, nil, list(floats(dims(2, 2), 0, math.Log(3), 1000, -1000)), list(floats(dims(2, 2), 0.25, 0.75, 1, 0))},
		{graph.OpCrossEntropy, nil, list(floats(dims(3, 2), 0, math.Log(3), 0, math.Log(3), 2000, 0), indices(dims(3), 0, 1, 1)), list(vec(2*math.Ln2, math.Log(4.0/3), 2000))},
		{graph.OpCrossEntropyGrad, nil, list(floats(dims(2, 2), 0, math.Log(3), 0, math.Log(3)), indices(dims(2), 0, 1), vec(2, 4)), list(floats(dims(2, 2), -1.5, 1.5, 1, -1))},

		{graph.OpTopKMask, graph.TopKAttr{K: 2}, list(vec(3, -5, 1), vec(5, -2)), list(bitmap(dims(3), 0, 1, 0), bitmap(dims(2), 1, 0))},
		{graph.OpTopKMask, graph.TopKAttr{K: 1}, list(vec(3, -5, 1), vec(5, -2)), list(bitmap(dims(3), 0, 1, 0), bitmap(dims(2), 0, 0))},
		{graph.OpTopKMask, graph.TopKAttr{K: 2}, list(vec(3, -inf, nan, 1)), list(bitmap(dims(4), 0, 1, 1, 0))},
		{graph.OpNMMask, graph.NMAttr{N: 2, M: 4, Axis: 1}, list(floats(dims(2, 4), 1, -2, 3, 0, 5, 5, 5, 5)), list(bitmap(dims(2, 4), 0, 1, 1, 0, 1, 1, 0, 0))},
		{graph.OpNMMask, graph.NMAttr{N: 1, M: 2, Axis: 0}, list(floats(dims(4, 2), 1, 5, 2, 4, -3, nan, 1, 9)), list(bitmap(dims(4, 2), 0, 1, 1, 0, 1, 1, 0, 0))},
		{graph.OpBlockMask, graph.BlockAttr{K: 2, Size: 2}, list(floats(dims(4, 2), 1, -5, 1, 0, 3, 2, -3, 2)), list(bitmap(dims(4, 2), 0, 1, 0, 1, 1, 0, 1, 0))},
		{graph.OpBlockMask, graph.BlockAttr{K: 1, Size: 2}, list(vec(1, 2), vec(2, 1)), list(bitmap(dims(2), 1, 1), bitmap(dims(2), 0, 0))},
		{graph.OpMask, nil, list(vec(1, nan, inf, 4), bitmap(dims(4), 1, 0, 0, 1)), list(vec(1, 0, 0, 4))},
	}
}

func draws(key [2]int64, stream, n int) []float64 {
	x := make([]float64, n)
	for k := range x {
		x[k] = graph.Uniform(key, stream, k)
	}
	return x
}

func TestOps(t *testing.T) {
	// sources: every case has inputs; slots are in TestSlots
	done := map[graph.Op]bool{graph.OpInput: true, graph.OpSlot: true}
	for n, c := range opCases() {
		done[c.op] = true
		t.Run(fmt.Sprintf("%s %d", c.op, n), func(t *testing.T) {
			got := run(t, single(t, c), c.in...)
			for j := range c.want {
				near(t, fmt.Sprintf("result %d", j), got[j], c.want[j], 1e-15)
			}
		})
	}
	for _, d := range graph.Ops() {
		if !done[d.Op] {
			t.Errorf("%s has no case", d.Op)
		}
	}
}

// single returns the program of one instruction, made without the builder.
func single(t *testing.T, c opCase) *graph.Program {
	t.Helper()
	p := &graph.Program{}
	last := graph.Instr{Op: c.op, Attr: c.attr}
	for i, x := range c.in {
		id := graph.ID(i)
		typ := graph.Type{DType: x.DType, Shape: graph.Of(x.Dims...)}
		name := fmt.Sprintf("x%d", i)
		p.Types = append(p.Types, typ)
		p.Inputs = append(p.Inputs, graph.Port{Name: name, ID: id})
		p.Code = append(p.Code, graph.Instr{Op: graph.OpInput, Attr: graph.SourceAttr{Name: name, DType: typ.DType, Shape: typ.Shape}, Out: []graph.ID{id}})
		last.In = append(last.In, id)
	}
	def, ok := c.op.Def()
	if !ok {
		t.Fatalf("no op %q", c.op)
	}
	types, err := def.Infer(p.Types, c.attr)
	if err != nil {
		t.Fatal(err)
	}
	if want := def.Outs(len(c.in)); len(types) != want || len(c.want) != want {
		t.Fatalf("the table says %d results, the shape rule gives %d, the case has %d", want, len(types), len(c.want))
	}
	for j, typ := range types {
		id := graph.ID(len(p.Types))
		p.Types = append(p.Types, typ)
		last.Out = append(last.Out, id)
		p.Outputs = append(p.Outputs, graph.Port{Name: fmt.Sprintf("y%d", j), ID: id})
	}
	p.Code = append(p.Code, last)
	if err := p.Verify(); err != nil {
		t.Fatal(err)
	}
	return p
}

// compile prepares p on the reference backend, in a session of its own.
func compile(t testing.TB, p *graph.Program) backends.Executable {
	t.Helper()
	s, err := reference.New().NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := s.Compile(t.Context(), p, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func run(t testing.TB, p *graph.Program, in ...array.Tensor) []array.Tensor {
	t.Helper()
	out, err := compile(t, p).Run(t.Context(), in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// at returns element k.
func at(x array.Tensor, k int) float64 {
	switch x.DType {
	case array.F32:
		return float64(x.F32()[k])
	case array.F64:
		return x.F64()[k]
	case array.I8:
		return float64(int8(x.Data[k]))
	case array.I32:
		return float64(x.I32()[k])
	case array.I64:
		return float64(x.I64()[k])
	}
	if x.Bit(k) {
		return 1
	}
	return 0
}

// near fails unless got has want's type and its elements within tolerance·max(1, |want|).
func near(t testing.TB, what string, got, want array.Tensor, tolerance float64) {
	t.Helper()
	if got.DType != want.DType || fmt.Sprint(got.Dims) != fmt.Sprint(want.Dims) {
		t.Fatalf("%s: want %v%v, got %v%v", what, want.DType, want.Dims, got.DType, got.Dims)
	}
	for k := range want.Len() {
		g, w := at(got, k), at(want, k)
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if off := math.Abs(g - w); !(off <= tolerance*math.Max(1, math.Abs(w))) {
			t.Errorf("%s: element %d is %v, want %v", what, k, g, w)
		}
	}
}
