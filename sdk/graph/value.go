package graph

// An Encoding says how a Value stores its elements.
type Encoding uint8

// The encodings. In all of them the elements are in row-major order of the decoded tensor.
const (
	Dense   Encoding = iota // Values: every element
	Bitmask                 // Index: one bit an element, least significant bit first; Values: the elements whose bit is one
	Index16                 // Index: for each run of 65,536 elements a little-endian uint32 count, then for every stored element its uint16 offset in its run; Values: the stored elements
	GroupNM                 // exactly N of each M consecutive along Axis: Index: their offsets, packed in ⌈log₂ M⌉ bits each, ascending in a group; Values: the stored elements. Groups go in row-major order of the tensor with Axis divided by M
)

// A Value is a tensor as a checkpoint, a compressor or a backend's constants hold it: dense, or encoded so that zeros take no room.
type Value struct {
	Encoding Encoding
	DType    DType
	Dims     []int
	Values   []byte // little-endian
	Index    []byte
	N, M     int // GroupNM
	Axis     int // GroupNM
}

// DenseValue wraps t without copying.
func DenseValue(t Tensor) Value {
	return Value{Encoding: Dense, DType: t.DType, Dims: t.Dims, Values: t.Data}
}
