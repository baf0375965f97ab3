package cpu

import (
	"fmt"
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// table has one row for every op of graph.Ops: the function that lowers it. init fills it, because
// these functions refer to the table.
var table map[graph.Op]lowerFn

func init() {
	table = map[graph.Op]lowerFn{
		graph.OpInput:   lowerInput,
		graph.OpSlot:    lowerSlot,
		graph.OpConst:   lowerConst,
		graph.OpUniform: lowerUniform,

		graph.OpNeg:      lowerElementwise,
		graph.OpExp:      lowerElementwise,
		graph.OpExpm1:    lowerElementwise,
		graph.OpLog:      lowerElementwise,
		graph.OpSqrt:     lowerElementwise,
		graph.OpTanh:     lowerElementwise,
		graph.OpSigmoid:  lowerElementwise,
		graph.OpErf:      lowerElementwise,
		graph.OpAbs:      lowerElementwise,
		graph.OpRelu:     lowerElementwise,
		graph.OpReluGrad: lowerElementwise,
		graph.OpScale:    lowerElementwise,
		graph.OpShift:    lowerElementwise,
		graph.OpCast:     lowerCast,

		graph.OpAdd:  lowerElementwise,
		graph.OpSub:  lowerElementwise,
		graph.OpMul:  lowerElementwise,
		graph.OpDiv:  lowerElementwise,
		graph.OpMax:  lowerElementwise,
		graph.OpMin:  lowerElementwise,
		graph.OpLess: lowerLess,

		graph.OpMatMul:      lowerMatMul,
		graph.OpConv2D:      lowerConv,
		graph.OpConv2DDX:    lowerConvInput,
		graph.OpConv2DDW:    lowerConvWeight,
		graph.OpMaxPool:     lowerPool,
		graph.OpMaxPoolGrad: lowerMaxPoolGrad,
		graph.OpAvgPool:     lowerPool,
		graph.OpAvgPoolGrad: lowerAvgPoolGrad,

		graph.OpReshape:    lowerReshape,
		graph.OpTranspose:  lowerTranspose,
		graph.OpBroadcast:  lowerBroadcast,
		graph.OpSlice:      lowerSlice,
		graph.OpPad:        lowerPad,
		graph.OpConcat:     lowerConcat,
		graph.OpGather:     lowerGather,
		graph.OpScatterAdd: lowerScatterAdd,

		graph.OpSum:       lowerSum,
		graph.OpReduceMax: lowerReduceMax,
		graph.OpArgMax:    lowerArgMax,
		graph.OpCount:     lowerCount,

		graph.OpBatchNorm:        lowerBatchNorm,
		graph.OpBatchNormGrad:    lowerBatchNormGrad,
		graph.OpBatchNormInfer:   lowerBatchNormInfer,
		graph.OpLayerNorm:        lowerLayerNorm,
		graph.OpLayerNormGrad:    lowerLayerNormGrad,
		graph.OpSoftmax:          lowerSoftmax,
		graph.OpCrossEntropy:     lowerXent,
		graph.OpCrossEntropyGrad: lowerXentGrad,

		graph.OpTopKMask:  lowerTopK,
		graph.OpNMMask:    lowerNM,
		graph.OpBlockMask: lowerBlockMask,
		graph.OpMask:      lowerElementwise,
	}
}

// holds reports whether values of a type can be kept and moved. F32 is the only float type of
// arithmetic.
func holds(d array.DType) bool {
	switch d {
	case array.F32, array.I8, array.I32, array.I64, array.Bit:
		return true
	}
	return false
}

// Ops returns the ops of the backend, sorted by name.
func (*Backend) Ops() []graph.Op { return slices.Sorted(maps.Keys(table)) }

// lacking lists what this backend lacks for a program, each op and type once.
func lacking(p *graph.Program) []string {
	var missing []string
	for _, i := range p.Code {
		_, known := table[i.Op]
		for _, id := range slices.Concat(i.In, i.Out) {
			d := p.Types[id].DType
			if what := fmt.Sprintf("%s %v", i.Op, d); !(known && holds(d)) && !slices.Contains(missing, what) {
				missing = append(missing, what)
			}
		}
	}
	return missing
}
