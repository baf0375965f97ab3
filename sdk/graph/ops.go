package graph

import (
	"errors"
	"fmt"
	"reflect"
)

// An Op is an operation: a row of the table that [Ops] returns. Its text is the name that programs
// in files have.
type Op string

// The operations. The name of a constant is that of its text without "_"; OpMask alone differs.
const (
	OpInput   Op = "input"
	OpSlot    Op = "slot"
	OpConst   Op = "const"
	OpUniform Op = "uniform"

	OpNeg      Op = "neg"
	OpExp      Op = "exp"
	OpExpm1    Op = "expm1"
	OpLog      Op = "log"
	OpSqrt     Op = "sqrt"
	OpTanh     Op = "tanh"
	OpSigmoid  Op = "sigmoid"
	OpErf      Op = "erf"
	OpAbs      Op = "abs"
	OpRelu     Op = "relu"
	OpReluGrad Op = "relu_grad"
	OpScale    Op = "scale"
	OpShift    Op = "shift"
	OpCast     Op = "cast"

	OpAdd  Op = "add"
	OpSub  Op = "sub"
	OpMul  Op = "mul"
	OpDiv  Op = "div"
	OpMax  Op = "max"
	OpMin  Op = "min"
	OpLess Op = "less"

	OpMatMul      Op = "matmul"
	OpConv2D      Op = "conv2d"
	OpConv2DDX    Op = "conv2d_dx"
	OpConv2DDW    Op = "conv2d_dw"
	OpMaxPool     Op = "max_pool"
	OpMaxPoolGrad Op = "max_pool_grad"
	OpAvgPool     Op = "avg_pool"
	OpAvgPoolGrad Op = "avg_pool_grad"

	OpReshape    Op = "reshape"
	OpTranspose  Op = "transpose"
	OpBroadcast  Op = "broadcast"
	OpSlice      Op = "slice"
	OpPad        Op = "pad"
	OpConcat     Op = "concat"
	OpGather     Op = "gather"
	OpScatterAdd Op = "scatter_add"

	OpSum       Op = "sum"
	OpReduceMax Op = "reduce_max"
	OpArgMax    Op = "argmax"
	OpCount     Op = "count"

	OpBatchNorm        Op = "batch_norm"
	OpBatchNormGrad    Op = "batch_norm_grad"
	OpBatchNormInfer   Op = "batch_norm_infer"
	OpLayerNorm        Op = "layer_norm"
	OpLayerNormGrad    Op = "layer_norm_grad"
	OpSoftmax          Op = "softmax"
	OpCrossEntropy     Op = "cross_entropy"
	OpCrossEntropyGrad Op = "cross_entropy_grad"

	OpTopKMask  Op = "topk_mask"
	OpNMMask    Op = "nm_mask"
	OpBlockMask Op = "block_mask"
	OpMask      Op = "keep"
)

// variadic is the arity of ops with one operand or more.
const variadic = -1

// A Def is a row of the table: the definition of an op.
type Def struct {
	Op    Op
	Arity int    // the number of operands; -1: one or more
	Attr  Attr   // the zero value of the attribute struct; nil: the op has none
	Doc   string // the formula, in index notation
	outs  int    // the number of results; 0: one for each operand

	infer func(in []Type, attr Attr) ([]Type, error)
	grad  gradRule // nil: no gradient flows through the op
}

// Outs returns the number of results for this number of operands.
func (d Def) Outs(operands int) int {
	if d.outs == 0 {
		return operands
	}
	return d.outs
}

// Differentiable reports whether gradients flow through the op.
func (d Def) Differentiable() bool { return d.grad != nil }

// Infer returns the types of the results by the op's shape rule. It returns an error if the
// operands or the attribute do not fit.
func (d Def) Infer(in []Type, attr Attr) ([]Type, error) {
	if d.Arity == variadic && len(in) == 0 {
		return nil, errors.New("takes one operand or more, got none")
	}
	if d.Arity != variadic && len(in) != d.Arity {
		return nil, fmt.Errorf("takes %d operands, got %d", d.Arity, len(in))
	}
	if reflect.TypeOf(attr) != reflect.TypeOf(d.Attr) {
		return nil, fmt.Errorf("takes attribute %T, got %T", d.Attr, attr)
	}
	if d.infer == nil {
		return nil, errors.New("has no shape rule; take the Def from Ops")
	}
	out, err := d.infer(in, attr)
	if err != nil {
		return nil, err
	}
	for _, t := range out {
		if err := t.Shape.valid(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Ops returns the table, in a fixed order.
func Ops() []Def { return append([]Def(nil), rows...) }

// Def returns the row of op in the table.
func (op Op) Def() (Def, bool) {
	d, ok := table[op]
	return d, ok
}

// init fills rows, because gradient rules call methods of Builder, which read the table.
var (
	rows  []Def
	table map[Op]Def
)

func init() {
	rows = []Def{
		{OpInput, 0, SourceAttr{}, "fed at each run", 1, inferSource, nil},
		{OpSlot, 0, SourceAttr{}, "value of a session's slot at the start of the run", 1, inferSource, nil},
		{OpConst, 0, ConstAttr{}, "y = value", 1, inferConst, nil},
		{OpUniform, 1, UniformAttr{}, "y[i] = Uniform(key, stream, i)", 1, inferUniform, nil},

		{OpNeg, 1, nil, "y = -x", 1, inferUnary, gradNeg},
		{OpExp, 1, nil, "y = e^x", 1, inferUnary, gradExp},
		{OpExpm1, 1, nil, "y = e^x - 1", 1, inferUnary, gradExpm1},
		{OpLog, 1, nil, "y = ln x", 1, inferUnary, gradLog},
		{OpSqrt, 1, nil, "y = √x", 1, inferUnary, gradSqrt},
		{OpTanh, 1, nil, "y = tanh x", 1, inferUnary, gradTanh},
		{OpSigmoid, 1, nil, "y = 1/(1+e^-x)", 1, inferUnary, gradSigmoid},
		{OpErf, 1, nil, "y = erf x", 1, inferUnary, gradErf},
		{OpAbs, 1, nil, "y = |x|", 1, inferUnary, gradAbs},
		{OpRelu, 1, nil, "y = max(x, 0), NaN where x is NaN", 1, inferUnary, gradRelu},
		{OpReluGrad, 2, nil, "dx = dy where y > 0, else 0; operands dy, y", 1, inferBinary, gradReluGrad},
		{OpScale, 1, ScalarAttr{}, "y = c·x", 1, inferUnary, gradScale},
		{OpShift, 1, ScalarAttr{}, "y = x + c", 1, inferUnary, gradShift},
		{OpCast, 1, CastAttr{}, "y = x in another type; to floats round to nearest even, to integers truncate and clamp (NaN gives 0), to bits y = x ≠ 0", 1, inferCast, gradCast},

		{OpAdd, 2, nil, "z = x + y", 1, inferBinary, gradAdd},
		{OpSub, 2, nil, "z = x - y", 1, inferBinary, gradSub},
		{OpMul, 2, nil, "z = x·y", 1, inferBinary, gradMul},
		{OpDiv, 2, nil, "z = x/y", 1, inferBinary, gradDiv},
		{OpMax, 2, nil, "z = y where x < y or y is NaN, else x", 1, inferBinary, gradMax},
		{OpMin, 2, nil, "z = y where y < x or y is NaN, else x", 1, inferBinary, gradMin},
		{OpLess, 2, nil, "z = 1 where x < y, else 0 (bit)", 1, inferLess, nil},

		{OpMatMul, 2, MatMulAttr{}, "z[…,i,j] = Σ_k x[…,i,k]·y[…,k,j], either matrix transposed on request", 1, inferMatMul, gradMatMul},
		{OpConv2D, 2, ConvAttr{}, "y[n,o,i,j] = Σ_c,p,q x[n,c,i·s+p-top,j·s+q-left]·w[o,c,p,q], zeros outside", 1, inferConv2D, gradConv2D},
		{OpConv2DDX, 2, ConvAttr{}, "gradient of conv2d with respect to x; operands dy, w; size = H, W of x", 1, inferConv2DDX, gradConv2DDX},
		{OpConv2DDW, 2, ConvAttr{}, "gradient of conv2d with respect to w; operands x, dy; size = KH, KW of w", 1, inferConv2DDW, gradConv2DDW},
		{OpMaxPool, 1, PoolAttr{}, "y = max over the window without padding, NaN if any is", 1, inferPool, gradMaxPool},
		{OpMaxPoolGrad, 2, PoolAttr{}, "operands dy, x: dy goes to the first maximum of its window in row-major order", 1, inferMaxPoolGrad, nil},
		{OpAvgPool, 1, PoolAttr{}, "y = mean over the window, counting padding when count_pad", 1, inferPool, gradAvgPool},
		{OpAvgPoolGrad, 1, PoolAttr{}, "gradient of avg_pool; operand dy; size = H, W of x", 1, inferAvgPoolGrad, gradAvgPoolGrad},

		{OpReshape, 1, ReshapeAttr{}, "same elements in the same order, another shape", 1, inferReshape, gradReshape},
		{OpTranspose, 1, TransposeAttr{}, "y.shape[i] = x.shape[perm[i]]", 1, inferTranspose, gradTranspose},
		{OpBroadcast, 1, ReshapeAttr{}, "axes of size 1 repeat; missing outer axes are added", 1, inferBroadcast, gradBroadcast},
		{OpSlice, 1, SliceAttr{}, "y[i] = x[begin + i·step], i·step < end - begin; end -1 means to the end", 1, inferSlice, gradSlice},
		{OpPad, 1, PadAttr{}, "zeros: lo before, hi after, inner between neighbours", 1, inferPad, gradPad},
		{OpConcat, variadic, ConcatAttr{}, "operands one after another along an axis", 1, inferConcat, gradConcat},
		{OpGather, 2, nil, "y[i…,j…] = table[index[i…],j…]; operands table, index (i32)", 1, inferGather, gradGather},
		{OpScatterAdd, 2, ScatterAddAttr{}, "table[r,j…] = Σ_{i: index[i]=r} src[i,j…] in order of i; operands src, index (i32)", 1, inferScatterAdd, gradScatterAdd},

		{OpSum, 1, ReduceAttr{}, "y = Σ over axes; keep leaves them with size 1", 1, inferReduce, gradSum},
		{OpReduceMax, 1, ReduceAttr{}, "y = max over axes, NaN if any is", 1, inferReduce, gradReduceMax},
		{OpArgMax, 1, nil, "y[…] = index of the first NaN, else of the first maximum, along the last axis (i32)", 1, inferArgMax, nil},
		{OpCount, 1, ReduceAttr{}, "y = number of elements along axes, a scalar of x's type", 1, inferCount, gradZero},

		{OpBatchNorm, 3, NormAttr{}, "operands x[n,c,…], gamma[c], beta[c]; y = gamma·(x-mean)/√(var+eps)+beta, mean[c], var[c] (biased) of this batch", 3, inferBatchNorm, gradBatchNorm},
		{OpBatchNormGrad, 5, NormAttr{}, "operands dy, x, gamma, mean, var; results dx, dgamma, dbeta", 3, inferBatchNormGrad, nil},
		{OpBatchNormInfer, 5, NormAttr{}, "operands x, gamma, beta, mean, var; y = gamma·(x-mean)/√(var+eps)+beta", 1, inferBatchNormInfer, gradBatchNormInfer},
		{OpLayerNorm, 3, NormAttr{}, "operands x[…,d], gamma[d], beta[d]; y, mean[…], var[…] (biased) over the last axis", 3, inferLayerNorm, gradLayerNorm},
		{OpLayerNormGrad, 5, NormAttr{}, "operands dy, x, gamma, mean, var; results dx, dgamma, dbeta", 3, inferLayerNormGrad, nil},
		{OpSoftmax, 1, nil, "y = e^x/Σe^x over the last axis", 1, inferSoftmax, gradSoftmax},
		{OpCrossEntropy, 2, nil, "operands logits[n,c], labels[n] (i32); loss[n] = ln Σ_c e^logits[n,c] - logits[n,labels[n]]", 1, inferCrossEntropy, gradCrossEntropy},
		{OpCrossEntropyGrad, 3, nil, "operands logits, labels, dloss[n]; (softmax - onehot)·dloss", 1, inferCrossEntropyGrad, nil},

		{OpTopKMask, variadic, TopKAttr{}, "bit masks of the k largest |w| over all operands together; ties by lowest index, operands in order", 0, inferTopK, nil},
		{OpNMMask, 1, NMAttr{}, "bit mask of the n largest |w| in each m consecutive along axis; ties by lowest index", 1, inferNM, nil},
		{OpBlockMask, variadic, BlockAttr{}, "bit masks of the k blocks (size consecutive of axis 0, all else fixed) with the largest Σ|w|; ties by lowest index", 0, inferBlock, nil},
		{OpMask, 2, nil, "y = x where the bit is 1, else 0; operands x, mask", 1, inferMask, gradMask},
	}
	table = make(map[Op]Def, len(rows))
	for _, d := range rows {
		table[d.Op] = d
	}
}
