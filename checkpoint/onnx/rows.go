package onnx

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A row appends the nodes of one instruction.
type row func(e *exporter, i graph.Instr) error

// rows is the table of the operations that can be exported.
var rows = map[graph.Op]row{
	graph.OpInput: input,
	graph.OpSlot:  slot,
	graph.OpConst: constant,

	graph.OpNeg: named("Neg"), graph.OpExp: named("Exp"), graph.OpExpm1: expm1, graph.OpLog: named("Log"), graph.OpSqrt: named("Sqrt"),
	graph.OpTanh: named("Tanh"), graph.OpSigmoid: named("Sigmoid"), graph.OpErf: named("Erf"), graph.OpAbs: named("Abs"),
	graph.OpRelu: named("Relu"), graph.OpScale: withNumber("Mul"), graph.OpShift: withNumber("Add"), graph.OpCast: cast,

	graph.OpAdd: named("Add"), graph.OpSub: named("Sub"), graph.OpMul: named("Mul"), graph.OpDiv: named("Div"),
	graph.OpMax: named("Max"), graph.OpMin: named("Min"), graph.OpLess: named("Less"),

	graph.OpMatMul:  matMul,
	graph.OpConv2D:  conv,
	graph.OpMaxPool: pool("MaxPool"),
	graph.OpAvgPool: pool("AveragePool"),

	graph.OpReshape:   reshape,
	graph.OpTranspose: transpose,
	graph.OpBroadcast: broadcast,
	graph.OpSlice:     slice,
	graph.OpPad:       pad,
	graph.OpConcat:    concat,
	graph.OpGather:    named("Gather"),

	graph.OpSum:            sum,
	graph.OpReduceMax:      reduceMax,
	graph.OpArgMax:         argMax,
	graph.OpCount:          count,
	graph.OpSoftmax:        named("Softmax"), // over the last axis by default
	graph.OpBatchNormInfer: batchNorm,
	graph.OpLayerNorm:      layerNorm,
	graph.OpMask:           mask,
}

// named is an operation that is one node without attributes.
func named(op string) row {
	return func(e *exporter, i graph.Instr) error {
		e.emit(i, op, e.operands(i))
		return nil
	}
}

// withNumber is an operation of its operand and the number of its attribute.
func withNumber(op string) row {
	return func(e *exporter, i graph.Instr) error {
		c, err := e.number(e.p.Types[i.In[0]].DType, i.Attr.(graph.ScalarAttr).C)
		e.emit(i, op, append(e.operands(i), c))
		return err
	}
}

// expm1 is tanh(x/2)·(e^x+1), which is exact near zero as e^x-1 is not.
func expm1(e *exporter, i graph.Instr) error {
	d := e.p.Types[i.In[0]].DType
	half, err := e.number(d, 0.5)
	if err != nil {
		return err
	}
	one, err := e.number(d, 1)
	if err != nil {
		return err
	}
	x := e.use(i.In[0])
	tanh := e.node("tanh", "Tanh", []string{e.node("half", "Mul", []string{x, half})})
	e.emit(i, "Mul", []string{tanh, e.node("sum", "Add", []string{e.node("exp", "Exp", []string{x}), one})})
	return nil
}

func cast(e *exporter, i graph.Instr) error {
	e.emit(i, "Cast", e.operands(i), attr{"to", dataTypes[i.Attr.(graph.CastAttr).DType]})
	return nil
}

func input(e *exporter, i graph.Instr) error {
	e.names[i.Out[0]] = e.fresh(i.Attr.(graph.SourceAttr).Name)
	return nil
}

func slot(e *exporter, i graph.Instr) error {
	a := i.Attr.(graph.SourceAttr)
	v, ok := e.tensors[a.Name]
	dims, _ := a.Shape.Dims()
	c := initializer{a.Name, dims, v}
	if !ok || c.dtype() != a.DType || !slices.Equal(v.Dims, dims) {
		return fmt.Errorf("tensor %q: want %v%v, got %v%v", a.Name, a.DType, dims, v.DType, v.Dims)
	}
	e.constant[i.Out[0]] = c
	return v.Check()
}

// constant makes a constant, of one element if the shape is symbolic and all its readers broadcast.
func constant(e *exporter, i graph.Instr) error {
	a := i.Attr.(graph.ConstAttr)
	dims, fixed := a.Shape.Dims()
	t, err := filled(a.DType, a.Value, dims...)
	if err != nil {
		return err
	}
	c := initializer{"const", dims, array.DenseValue(t)}
	if fixed || e.repeats(i.Out[0]) {
		e.constant[i.Out[0]] = c
		return nil
	}
	shape, err := e.shape(a.Shape)
	e.emit(i, "Expand", []string{e.add(c), shape})
	return err
}

func matMul(e *exporter, i graph.Instr) error {
	a := i.Attr.(graph.MatMulAttr)
	in := e.operands(i)
	rank := len(e.p.Types[i.Out[0]].Shape)
	if rank == 2 {
		e.emit(i, "Gemm", in, attr{"transA", flag(a.TransA)}, attr{"transB", flag(a.TransB)})
		return nil
	}
	perm := make([]int64, rank)
	for k := range perm {
		perm[k] = int64(k)
	}
	perm[rank-2], perm[rank-1] = perm[rank-1], perm[rank-2]
	for k, transposed := range []bool{a.TransA, a.TransB} {
		if transposed {
			in[k] = e.node("transposed", "Transpose", []string{in[k]}, attr{"perm", perm})
		}
	}
	e.emit(i, "MatMul", in)
	return nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func conv(e *exporter, i graph.Instr) error {
	a := i.Attr.(graph.ConvAttr)
	w := e.p.Types[i.In[1]].Shape
	e.emit(i, "Conv", e.operands(i), attr{"kernel_shape", []int64{int64(w[2].C), int64(w[3].C)}},
		strides(a.Stride), pads(a.Pad), attr{"group", int64(a.Groups)})
	return nil
}

func strides(s [2]int) attr { return attr{"strides", []int64{int64(s[0]), int64(s[1])}} }

// pads has top, bottom, left, right in ONNX's order: top, left, bottom, right.
func pads(p [4]int) attr {
	return attr{"pads", []int64{int64(p[0]), int64(p[2]), int64(p[1]), int64(p[3])}}
}

func pool(op string) row {
	return func(e *exporter, i graph.Instr) error {
		a := i.Attr.(graph.PoolAttr)
		attrs := []attr{{"kernel_shape", []int64{int64(a.Kernel[0]), int64(a.Kernel[1])}}, strides(a.Stride), pads(a.Pad)}
		if op == "AveragePool" {
			attrs = append(attrs, attr{"count_include_pad", flag(a.CountPad)})
		}
		e.emit(i, op, e.operands(i), attrs...)
		return nil
	}
}

// reshaped returns a shape for ONNX's Reshape, which computes at most one dimension, written as -1.
func reshaped(s graph.Shape) ([]int64, error) {
	out, open := make([]int64, len(s)), 0
	for k, d := range s {
		out[k] = int64(d.C)
		if !d.Fixed() {
			out[k] = -1
			open++
		}
	}
	if open > 1 {
		return nil, fmt.Errorf("shape %v has more than one symbolic dimension", s)
	}
	return out, nil
}

// reshape of a constant is the constant with other dimensions.
func reshape(e *exporter, i graph.Instr) error {
	s := i.Attr.(graph.ReshapeAttr).Shape
	if c, ok := e.constant[i.In[0]]; ok {
		c.dims, _ = s.Dims()
		e.constant[i.Out[0]] = c
		return nil
	}
	if len(s) == 0 {
		e.emit(i, "Squeeze", e.operands(i))
		return nil
	}
	dims, err := reshaped(s)
	if err != nil {
		return err
	}
	e.emit(i, "Reshape", append(e.operands(i), e.ints(dims...)))
	return nil
}

func transpose(e *exporter, i graph.Instr) error {
	e.emit(i, "Transpose", e.operands(i), attr{"perm", wide(i.Attr.(graph.TransposeAttr).Perm)})
	return nil
}

func wide(v []int) []int64 {
	out := make([]int64, len(v))
	for k, x := range v {
		out[k] = int64(x)
	}
	return out
}

// broadcast adds no node if all readers of the value broadcast it themselves.
func broadcast(e *exporter, i graph.Instr) error {
	if e.repeats(i.Out[0]) {
		if c, ok := e.constant[i.In[0]]; ok {
			e.constant[i.Out[0]] = c
		} else {
			e.names[i.Out[0]] = e.use(i.In[0])
		}
		return nil
	}
	from, to := e.p.Types[i.In[0]].Shape, slices.Clone(i.Attr.(graph.ReshapeAttr).Shape)
	for k, d := range from {
		if at := k + len(to) - len(from); !d.Fixed() && to[at] == d {
			to[at] = graph.Dim{C: 1} // Expand keeps the larger of both
		}
	}
	shape, err := e.shape(to)
	e.emit(i, "Expand", append(e.operands(i), shape))
	return err
}

// shape returns the name of a vector with the dimensions of s. A symbolic one is read from an
// input.
func (e *exporter) shape(s graph.Shape) (string, error) {
	dims, fixed := make([]string, len(s)), make([]int64, len(s))
	symbolic := false
	for k, d := range s {
		if fixed[k] = int64(d.C); d.Fixed() {
			continue
		}
		symbolic = true
		for _, in := range e.p.Inputs {
			if ax := slices.Index(e.p.Types[in.ID].Shape, d); ax >= 0 {
				dims[k] = e.node("dim", "Gather", []string{e.node("shape", "Shape", []string{e.use(in.ID)}), e.ints(int64(ax))})
				break
			}
		}
		if dims[k] == "" {
			return "", fmt.Errorf("shape %v: no input has the dimension %v", s, d)
		}
	}
	if !symbolic {
		return e.ints(fixed...), nil
	}
	for k := range dims {
		if dims[k] == "" {
			dims[k] = e.ints(fixed[k])
		}
	}
	return e.node("shape", "Concat", dims, attr{"axis", int64(0)}), nil
}

// repeats reports whether all readers of a value broadcast it: each is an operation of two
// operands, and the other operand has the full shape.
func (e *exporter) repeats(id graph.ID) bool {
	for _, i := range e.p.Code {
		if !slices.Contains(i.In, id) {
			continue
		}
		switch i.Op {
		case graph.OpAdd, graph.OpSub, graph.OpMul, graph.OpDiv, graph.OpMax, graph.OpMin, graph.OpLess:
		default:
			return false
		}
		other := i.In[0]
		if other == id {
			other = i.In[1]
		}
		if e.partial(other) {
			return false
		}
	}
	return !slices.ContainsFunc(e.p.Outputs, func(o graph.Port) bool { return o.ID == id })
}

// partial reports whether a value may be emitted with fewer elements than it has.
func (e *exporter) partial(id graph.ID) bool {
	return slices.ContainsFunc(e.p.Code, func(i graph.Instr) bool {
		return slices.Contains(i.Out, id) && (i.Op == graph.OpBroadcast || i.Op == graph.OpConst)
	})
}

func slice(e *exporter, i graph.Instr) error {
	a := i.Attr.(graph.SliceAttr)
	var begins, ends, axes, steps []int64
	for ax := range a.Begin {
		if a.Begin[ax] == 0 && a.End[ax] == -1 && a.Step[ax] == 1 {
			continue
		}
		end := int64(a.End[ax])
		if end == -1 {
			end = math.MaxInt64
		}
		begins, ends = append(begins, int64(a.Begin[ax])), append(ends, end)
		axes, steps = append(axes, int64(ax)), append(steps, int64(a.Step[ax]))
	}
	if len(axes) == 0 {
		e.emit(i, "Identity", e.operands(i))
		return nil
	}
	e.emit(i, "Slice", append(e.operands(i), e.ints(begins...), e.ints(ends...), e.ints(axes...), e.ints(steps...)))
	return nil
}

func pad(e *exporter, i graph.Instr) error {
	a := i.Attr.(graph.PadAttr)
	if slices.ContainsFunc(a.Inner, func(n int) bool { return n != 0 }) {
		return fmt.Errorf("want no zeros between neighbours, got %v", a.Inner)
	}
	e.emit(i, "Pad", append(e.operands(i), e.ints(append(wide(a.Lo), wide(a.Hi)...)...)))
	return nil
}

// concat of constants along the first axis is a constant, such as the means of the input's
// channels.
func concat(e *exporter, i graph.Instr) error {
	axis := i.Attr.(graph.ConcatAttr).Axis
	var parts [][]byte
	for _, id := range i.In {
		if c, ok := e.constant[id]; ok && axis == 0 && c.value.Encoding == array.Dense && c.value.DType == array.F32 && c.name == "const" {
			parts = append(parts, c.value.Values)
		}
	}
	if len(parts) < len(i.In) {
		e.emit(i, "Concat", e.operands(i), attr{"axis", int64(axis)})
		return nil
	}
	dims, _ := e.p.Types[i.Out[0]].Shape.Dims()
	v := array.Value{DType: array.F32, Dims: dims, Values: bytes.Join(parts, nil)}
	e.constant[i.Out[0]] = initializer{"const", dims, v}
	return v.Check()
}

func sum(e *exporter, i graph.Instr) error {
	a := i.Attr.(graph.ReduceAttr)
	if len(a.Axes) == 0 { // in ONNX no axes are all axes
		return named("Identity")(e, i)
	}
	e.emit(i, "ReduceSum", append(e.operands(i), e.ints(wide(a.Axes)...)), attr{"keepdims", flag(a.KeepDims)})
	return nil
}

// reduceMax has its axes in an attribute, as ONNX wants before opset 18.
func reduceMax(e *exporter, i graph.Instr) error {
	a := i.Attr.(graph.ReduceAttr)
	if len(a.Axes) == 0 {
		return named("Identity")(e, i)
	}
	e.emit(i, "ReduceMax", e.operands(i), attr{"axes", wide(a.Axes)}, attr{"keepdims", flag(a.KeepDims)})
	return nil
}

// argMax casts the result of ONNX's ArgMax, which is int64.
func argMax(e *exporter, i graph.Instr) error {
	index := e.node("index", "ArgMax", e.operands(i), attr{"axis", int64(-1)}, attr{"keepdims", int64(0)})
	e.emit(i, "Cast", []string{index}, attr{"to", dataTypes[array.I32]})
	return nil
}

// count is a constant unless a dimension is symbolic.
func count(e *exporter, i graph.Instr) error {
	x, axes := e.p.Types[i.In[0]], i.Attr.(graph.ReduceAttr).Axes
	n, fixed := 1, true
	for _, ax := range axes {
		n, fixed = n*x.Shape[ax].C, fixed && x.Shape[ax].Fixed()
	}
	if fixed {
		t, err := filled(x.DType, float64(n))
		e.constant[i.Out[0]] = initializer{"count", nil, array.DenseValue(t)}
		return err
	}
	dims := e.node("dims", "Gather", []string{e.node("shape", "Shape", e.operands(i)), e.ints(wide(axes)...)})
	e.emit(i, "Cast", []string{e.node("product", "ReduceProd", []string{dims}, attr{"keepdims", int64(0)})}, attr{"to", dataTypes[x.DType]})
	return nil
}

func batchNorm(e *exporter, i graph.Instr) error {
	e.emit(i, "BatchNormalization", e.operands(i), epsilon(i))
	return nil
}

func layerNorm(e *exporter, i graph.Instr) error {
	e.emit(i, "LayerNormalization", e.operands(i), attr{"axis", int64(-1)}, epsilon(i))
	return nil
}

func epsilon(i graph.Instr) attr { return attr{"epsilon", float32(i.Attr.(graph.NormAttr).Eps)} }

func mask(e *exporter, i graph.Instr) error {
	zero, err := e.number(e.p.Types[i.In[0]].DType, 0)
	in := e.operands(i)
	e.emit(i, "Where", []string{in[1], in[0], zero})
	return err
}
