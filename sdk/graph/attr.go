package graph

import "github.com/compressaware/cram/sdk/array"

// An Attr holds the constants of an instruction: one of the structs below, or nil. Their fields are int, bool, float64,
// string, DType, Shape, []int or arrays of int, which is what the text and MessagePack forms understand. A field is written
// under its name in lower case, or under the one of its graph tag, which files keep when a field is renamed.
type Attr any

// SourceAttr is the attribute of input and slot.
type SourceAttr struct {
	Name  string
	DType array.DType
	Shape Shape
}

// ConstAttr is the attribute of const.
type ConstAttr struct {
	DType array.DType
	Shape Shape
	Value float64
}

// UniformAttr is the attribute of uniform.
type UniformAttr struct {
	Stream int
	DType  array.DType
	Shape  Shape
}

// ScalarAttr is the attribute of scale and shift.
type ScalarAttr struct{ C float64 }

// CastAttr is the attribute of cast.
type CastAttr struct{ DType array.DType }

// MatMulAttr says which of the two matrices is stored transposed.
type MatMulAttr struct{ TransA, TransB bool }

// ConvAttr is the attribute of conv2d and its two gradients. Pad is top, bottom, left, right.
// Size is zero for conv2d, (H, W) of the input for conv2d_dx and (KH, KW) of the weights for conv2d_dw.
type ConvAttr struct {
	Stride [2]int
	Pad    [4]int
	Groups int
	Size   [2]int
}

// PoolAttr is the attribute of pooling. Pad is top, bottom, left, right; Size is (H, W) of the input in avg_pool_grad.
type PoolAttr struct {
	Kernel   [2]int
	Stride   [2]int
	Pad      [4]int
	CountPad bool
	Size     [2]int
}

// ReshapeAttr is the attribute of reshape and broadcast: the shape of the result.
type ReshapeAttr struct{ Shape Shape }

// TransposeAttr is the attribute of transpose.
type TransposeAttr struct{ Perm []int }

// SliceAttr is the attribute of slice, one entry an axis. End -1 means to the end; a symbolic axis must be taken whole.
type SliceAttr struct{ Begin, End, Step []int }

// PadAttr is the attribute of pad, one entry an axis. Inner zeros stand between neighbours.
type PadAttr struct{ Lo, Hi, Inner []int }

// ConcatAttr is the attribute of concat.
type ConcatAttr struct{ Axis int }

// ScatterAddAttr is the attribute of scatter_add: the extent of the result's first axis.
type ScatterAddAttr struct{ Rows int }

// ReduceAttr is the attribute of reductions. Axes ascend.
type ReduceAttr struct {
	Axes     []int
	KeepDims bool `graph:"keep"`
}

// NormAttr is the attribute of the normalisations.
type NormAttr struct{ Eps float64 }

// TopKAttr is the attribute of topk_mask: how many elements survive over all operands.
type TopKAttr struct {
	K int `graph:"keep"`
}

// NMAttr is the attribute of nm_mask.
type NMAttr struct{ N, M, Axis int }

// BlockAttr is the attribute of block_mask: how many blocks survive over all operands, and how many rows of axis 0 make one.
type BlockAttr struct {
	K    int `graph:"keep"`
	Size int
}
