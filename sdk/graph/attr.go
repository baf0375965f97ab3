package graph

import "github.com/compressaware/cram/sdk/array"

// An Attr holds the constants of an instruction: one of the structs below, or nil. Their fields are int, bool, float64,
// string, DType, Shape, []int or arrays of int, which is what the text and MessagePack forms understand.
type Attr any

// Source is the attribute of input and slot.
type Source struct {
	Name  string
	DType array.DType
	Shape Shape
}

// Fill is the attribute of const.
type Fill struct {
	DType array.DType
	Shape Shape
	Value float64
}

// Draw is the attribute of uniform.
type Draw struct {
	Stream int
	DType  array.DType
	Shape  Shape
}

// Scalar1 is the attribute of scale and shift.
type Scalar1 struct{ C float64 }

// To is the attribute of cast.
type To struct{ DType array.DType }

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

// Reshaped is the attribute of reshape and broadcast: the shape of the result.
type Reshaped struct{ Shape Shape }

// Perm is the attribute of transpose.
type Perm struct{ Perm []int }

// Range is the attribute of slice, one entry an axis. End -1 means to the end; a symbolic axis must be taken whole.
type Range struct{ Begin, End, Step []int }

// Padding is the attribute of pad, one entry an axis. Inner zeros stand between neighbours.
type Padding struct{ Lo, Hi, Inner []int }

// AxisAttr is the attribute of concat.
type AxisAttr struct{ Axis int }

// Rows is the attribute of scatter_add: the extent of the result's first axis.
type Rows struct{ Rows int }

// AxesAttr is the attribute of reductions. Axes ascend.
type AxesAttr struct {
	Axes []int
	Keep bool
}

// Eps is the attribute of the normalisations.
type Eps struct{ Eps float64 }

// TopKAttr is the attribute of topk_mask: how many elements survive over all operands.
type TopKAttr struct{ Keep int }

// NMAttr is the attribute of nm_mask.
type NMAttr struct{ N, M, Axis int }

// BlockAttr is the attribute of block_mask: how many blocks survive over all operands, and how many rows of axis 0 make one.
type BlockAttr struct{ Keep, Size int }
