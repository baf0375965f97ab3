package reference

import (
	"math"

	"github.com/compressaware/cram/sdk/graph"
)

// A kernel computes the results y of an op from its operands x. The results have their types and
// are zero; afterwards they are rounded to their types. The types were verified, so that the only
// errors are those of values, such as an index out of range.
type kernel func(attr graph.Attr, x, y []operand) error

// kernels has one row for each op except input and slot, in the order of graph.Ops.
var kernels = map[graph.Op]kernel{
	graph.OpConst:   constant,
	graph.OpUniform: uniform,

	graph.OpNeg:      unary(func(x float64) float64 { return -x }),
	graph.OpExp:      unary(math.Exp),
	graph.OpExpm1:    unary(math.Expm1),
	graph.OpLog:      unary(math.Log),
	graph.OpSqrt:     unary(math.Sqrt),
	graph.OpTanh:     unary(math.Tanh),
	graph.OpSigmoid:  unary(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }),
	graph.OpErf:      unary(math.Erf),
	graph.OpAbs:      unary(math.Abs),
	graph.OpRelu:     unary(relu),
	graph.OpReluGrad: binary(reluGrad),
	graph.OpScale:    scale,
	graph.OpShift:    shift,
	graph.OpCast:     cast,

	graph.OpAdd:  binary(func(x, y float64) float64 { return x + y }),
	graph.OpSub:  binary(func(x, y float64) float64 { return x - y }),
	graph.OpMul:  binary(func(x, y float64) float64 { return x * y }),
	graph.OpDiv:  binary(func(x, y float64) float64 { return x / y }),
	graph.OpMax:  binary(larger),
	graph.OpMin:  binary(smaller),
	graph.OpLess: less,

	graph.OpMatMul:      matmul,
	graph.OpConv2D:      conv2d,
	graph.OpConv2DDX:    conv2dInput,
	graph.OpConv2DDW:    conv2dWeight,
	graph.OpMaxPool:     maxPool,
	graph.OpMaxPoolGrad: maxPoolGrad,
	graph.OpAvgPool:     avgPool,
	graph.OpAvgPoolGrad: avgPoolGrad,

	graph.OpReshape:    reshape,
	graph.OpTranspose:  transpose,
	graph.OpBroadcast:  broadcast,
	graph.OpSlice:      slice,
	graph.OpPad:        pad,
	graph.OpConcat:     concat,
	graph.OpGather:     gather,
	graph.OpScatterAdd: scatterAdd,

	graph.OpSum:       sum,
	graph.OpReduceMax: reduceMax,
	graph.OpArgMax:    argMax,
	graph.OpCount:     count,

	graph.OpBatchNorm:        batchNorm,
	graph.OpBatchNormGrad:    batchNormGrad,
	graph.OpBatchNormInfer:   batchNormInfer,
	graph.OpLayerNorm:        layerNorm,
	graph.OpLayerNormGrad:    layerNormGrad,
	graph.OpSoftmax:          softmax,
	graph.OpCrossEntropy:     crossEntropy,
	graph.OpCrossEntropyGrad: crossEntropyGrad,

	graph.OpTopKMask:  topKMask,
	graph.OpNMMask:    nmMask,
	graph.OpBlockMask: blockMask,
	graph.OpMask:      keep,
}
