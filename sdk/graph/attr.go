package graph

import "github.com/compressaware/cram/sdk/array"

// An Attr holds the constants of an instruction: one of the structs below, or nil. Their fields are
// int, bool, float64, string, DType, Shape, []int or arrays of int. Texts and files have a field
// under its name in lower case, or under its graph tag, which does not change when a field is
// renamed.
type Attr any

// SourceAttr is the attribute of input and slot.
type SourceAttr struct {
	Name  string
	DType array.DType
	Shape Shape
}

// ConstAttr is the attribute of const: every element of the result is Value.
type ConstAttr struct {
	DType array.DType
	Shape Shape
	Value float64
}

// UniformAttr is the attribute of uniform. Stream is 0 to 65,535.
type UniformAttr struct {
	Stream int
	DType  array.DType
	Shape  Shape
}

// ScalarAttr is the attribute of scale and shift.
type ScalarAttr struct{ C float64 }

// CastAttr is the attribute of cast.
type CastAttr struct{ DType array.DType }

// MatMulAttr is the attribute of matmul: whether each of the two matrices is stored transposed.
type MatMulAttr struct{ TransA, TransB bool }

// ConvAttr is the attribute of conv2d and its two gradients. Size is zero for conv2d, (H, W) of the
// input for conv2d_dx, and (KH, KW) of the weights for conv2d_dw.
type ConvAttr struct {
	Stride [2]int // vertical, horizontal
	Pad    [4]int // top, bottom, left, right
	Groups int
	Size   [2]int
}

// PoolAttr is the attribute of pooling. Size is (H, W) of the input for avg_pool_grad, else zero.
type PoolAttr struct {
	Kernel   [2]int // height, width
	Stride   [2]int // vertical, horizontal
	Pad      [4]int // top, bottom, left, right
	CountPad bool   // whether a mean counts padding
	Size     [2]int
}

// ReshapeAttr is the attribute of reshape and broadcast: the shape of the result.
type ReshapeAttr struct{ Shape Shape }

// TransposeAttr is the attribute of transpose: axis i of the result is axis Perm[i] of the operand.
type TransposeAttr struct{ Perm []int }

// SliceAttr is the attribute of slice. Each list has an entry for each axis. End -1 is the end of
// the axis. A symbolic axis must be taken whole: 0, -1, 1.
type SliceAttr struct{ Begin, End, Step []int }

// PadAttr is the attribute of pad: how many zeros are before the first element, after the last and
// between two neighbours. Each list has an entry for each axis.
type PadAttr struct{ Lo, Hi, Inner []int }

// ConcatAttr is the attribute of concat.
type ConcatAttr struct{ Axis int }

// ScatterAddAttr is the attribute of scatter_add: the size of the result's first axis.
type ScatterAddAttr struct{ Rows int }

// ReduceAttr is the attribute of reductions. Axes ascend. KeepDims leaves them with size 1.
type ReduceAttr struct {
	Axes     []int
	KeepDims bool `graph:"keep"`
}

// NormAttr is the attribute of the normalisations.
type NormAttr struct{ Eps float64 }

// TopKAttr is the attribute of topk_mask: how many elements, over all operands, have a one.
type TopKAttr struct {
	K int `graph:"keep"`
}

// NMAttr is the attribute of nm_mask: N of each M consecutive elements along Axis have a one.
type NMAttr struct{ N, M, Axis int }

// BlockAttr is the attribute of block_mask: how many blocks, over all operands, have ones, and how
// many indices of axis 0 make a block.
type BlockAttr struct {
	K    int `graph:"keep"`
	Size int
}
