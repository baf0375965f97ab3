package array

import (
	"fmt"
	"unsafe"
)

// A Tensor is a plain value in host memory: elements of one type, row-major, in the machine's byte order.
// The zero Tensor means "none". Tensors are passed by value and share Data like slices do.
type Tensor struct {
	DType DType
	Dims  []int
	Data  []byte // aligned to 64 bytes when made by New; at least to the element otherwise
}

const alignment = 64

// New returns a zero-filled tensor. Every extent must be at least 1, and d a valid type.
func New(d DType, dims ...int) (Tensor, error) {
	if !d.Valid() {
		return Tensor{}, fmt.Errorf("array: new tensor: %v", d)
	}
	n := 1
	for i, v := range dims {
		if v < 1 || n > (1<<46)/v {
			return Tensor{}, fmt.Errorf("array: new tensor %v: dimension %d is out of range", dims, i)
		}
		n *= v
	}
	return Tensor{DType: d, Dims: append([]int(nil), dims...), Data: alignedBytes(d.Bytes(n))}, nil
}

// alignedBytes returns n zero bytes whose address is a multiple of 64.
func alignedBytes(n int) []byte {
	buf := make([]byte, n+alignment)
	// The address is only read, to choose an offset in [0, 64) inside buf; Go's heap does not move objects.
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(buf))) & (alignment - 1))
	return buf[off : off+n : off+n]
}

// FromF32 wraps data, without copying, as a tensor with the given extents (none: a vector).
func FromF32(data []float32, dims ...int) (Tensor, error) { return wrap(F32, data, dims) }

// FromF64 is FromF32 for float64.
func FromF64(data []float64, dims ...int) (Tensor, error) { return wrap(F64, data, dims) }

// FromI32 is FromF32 for int32.
func FromI32(data []int32, dims ...int) (Tensor, error) { return wrap(I32, data, dims) }

// FromI64 is FromF32 for int64.
func FromI64(data []int64, dims ...int) (Tensor, error) { return wrap(I64, data, dims) }

// Scalar returns a tensor of rank 0 that holds x as type d (F32, F64, I32 or I64).
func Scalar(d DType, x float64) (Tensor, error) {
	t, err := New(d)
	if err != nil {
		return t, err
	}
	switch d {
	case F32:
		t.F32()[0] = float32(x)
	case F64:
		t.F64()[0] = x
	case I32:
		t.I32()[0] = int32(x)
	case I64:
		t.I64()[0] = int64(x)
	default:
		return Tensor{}, fmt.Errorf("array: scalar of type %v", d)
	}
	return t, nil
}

func wrap[T float32 | float64 | int32 | int64](d DType, data []T, dims []int) (Tensor, error) {
	if dims == nil {
		dims = []int{len(data)}
	}
	for i, v := range dims {
		if v < 1 {
			return Tensor{}, fmt.Errorf("array: tensor %v: dimension %d must be at least 1", dims, i)
		}
	}
	if n := Count(dims); n != len(data) {
		return Tensor{}, fmt.Errorf("array: tensor %v wants %d elements, got %d", dims, n, len(data))
	}
	// A []T viewed as bytes: same address, len·size bytes, and bytes need no alignment.
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), d.Bytes(len(data)))
	return Tensor{DType: d, Dims: append([]int(nil), dims...), Data: bytes}, nil
}

// F32 returns the elements of an F32 tensor, sharing its memory; nil for any other type.
func (t Tensor) F32() []float32 { return view[float32](t, F32) }

// F64 returns the elements of an F64 tensor, sharing its memory; nil for any other type.
func (t Tensor) F64() []float64 { return view[float64](t, F64) }

// I32 returns the elements of an I32 tensor, sharing its memory; nil for any other type.
func (t Tensor) I32() []int32 { return view[int32](t, I32) }

// I64 returns the elements of an I64 tensor, sharing its memory; nil for any other type.
func (t Tensor) I64() []int64 { return view[int64](t, I64) }

func view[T float32 | float64 | int32 | int64](t Tensor, d DType) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	p := unsafe.SliceData(t.Data)
	if t.DType != d || len(t.Data) < size || uintptr(unsafe.Pointer(p))%unsafe.Alignof(zero) != 0 {
		return nil
	}
	// Checked above: the address is aligned for T, and len/size elements lie inside Data, which the result keeps alive.
	return unsafe.Slice((*T)(unsafe.Pointer(p)), len(t.Data)/size)
}

// Bit returns element i of a Bit tensor. Like an index of a slice, i must be in range.
func (t Tensor) Bit(i int) bool { return t.Data[i>>3]>>(i&7)&1 == 1 }

// SetBit sets element i of a Bit tensor to one; i must be in range.
func (t Tensor) SetBit(i int) { t.Data[i>>3] |= 1 << (i & 7) }

// Len returns the number of elements.
func (t Tensor) Len() int { return Count(t.Dims) }

// None reports whether t is the zero Tensor.
func (t Tensor) None() bool { return t.DType == InvalidDType }

// Clone returns a copy with memory of its own.
func (t Tensor) Clone() Tensor {
	c := Tensor{DType: t.DType, Dims: append([]int(nil), t.Dims...), Data: alignedBytes(len(t.Data))}
	copy(c.Data, t.Data)
	return c
}

// Check returns an error unless type, extents, length of Data and its alignment fit together.
func (t Tensor) Check() error {
	if !t.DType.Valid() {
		return fmt.Errorf("array: tensor has %v", t.DType)
	}
	n := 1
	for i, v := range t.Dims {
		if v < 1 || n > (1<<46)/v {
			return fmt.Errorf("array: tensor %v: dimension %d is out of range", t.Dims, i)
		}
		n *= v
	}
	if want := t.DType.Bytes(n); len(t.Data) != want {
		return fmt.Errorf("array: tensor %v%v wants %d bytes, has %d", t.DType, t.Dims, want, len(t.Data))
	}
	align := uintptr(t.DType.Bytes(1))
	if uintptr(unsafe.Pointer(unsafe.SliceData(t.Data)))%align != 0 { // the address is only read
		return fmt.Errorf("array: tensor %v%v is not aligned to its elements; use array.New", t.DType, t.Dims)
	}
	return nil
}

// Count returns the number of elements of a tensor with these extents.
func Count(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}
