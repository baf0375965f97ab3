package array

import (
	"fmt"
	"math"
	"unsafe"
)

// A Tensor is a plain array in host memory. Tensors are passed by value and share Data as slices
// do. The zero Tensor means "none"; see [Tensor.None].
type Tensor struct {
	// DType is the type of the elements.
	DType DType
	// Dims are the dimensions, outermost first. None: a scalar.
	Dims []int
	// Data holds the elements in row-major order and in the machine's byte order. Its address is a
	// multiple of the size of an element, and of 64 in a tensor that New has made.
	Data []byte
}

const alignment = 64

// maxElements bounds a tensor so that no product of dimensions and no size in bytes overflows an
// int, which has 32 bits on some machines.
const maxElements = min(1<<46, math.MaxInt/64)

// CheckDims returns an error unless a tensor may have these dimensions: each is 1 or more, and
// there are at most 2⁴⁶ elements, 2²⁵ where int has 32 bits. [Count] does not overflow for such
// dimensions.
func CheckDims(dims []int) error {
	n := 1
	for i, d := range dims {
		if d < 1 || n > maxElements/d {
			return fmt.Errorf("array: dims %v: dimension %d is out of range: want 1 or more, and at most %d elements in all",
				dims, i, int64(maxElements))
		}
		n *= d
	}
	return nil
}

// Count returns the number of elements of a tensor with these dimensions, which [CheckDims]
// accepts.
func Count(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// New returns a zero-filled tensor. An invalid type and dims that [CheckDims] refuses are errors.
func New(d DType, dims ...int) (Tensor, error) {
	if !d.Valid() {
		return Tensor{}, fmt.Errorf("array: new tensor: want a type of elements, got %v", d)
	}
	if err := CheckDims(dims); err != nil {
		return Tensor{}, err
	}
	return Tensor{DType: d, Dims: append([]int(nil), dims...), Data: alignedBytes(d.Bytes(Count(dims)))}, nil
}

// alignedBytes returns n zero bytes whose address is a multiple of 64.
func alignedBytes(n int) []byte {
	buf := make([]byte, n+alignment)
	// The address is only read, to choose an offset in [0, 64) inside buf; Go's heap does not move
	// objects.
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(buf))) & (alignment - 1))
	return buf[off : off+n : off+n]
}

// From returns a tensor with the given dimensions (none: a vector) that shares the memory of data.
// It is an error if data has another length than the product of the dimensions.
func From[T float32 | float64 | int32 | int64](data []T, dims ...int) (Tensor, error) {
	switch data := any(data).(type) {
	case []float32:
		return wrap(F32, data, dims)
	case []float64:
		return wrap(F64, data, dims)
	case []int32:
		return wrap(I32, data, dims)
	default:
		return wrap(I64, data.([]int64), dims)
	}
}

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
		return Tensor{}, fmt.Errorf("array: scalar: want f32, f64, i32 or i64, got %v", d)
	}
	return t, nil
}

func wrap[T float32 | float64 | int32 | int64](d DType, data []T, dims []int) (Tensor, error) {
	if dims == nil {
		dims = []int{len(data)}
	}
	if err := CheckDims(dims); err != nil {
		return Tensor{}, err
	}
	if n := Count(dims); n != len(data) {
		return Tensor{}, fmt.Errorf("array: tensor %v: want %d elements, got %d", dims, n, len(data))
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
	// Checked above: the address is aligned for T, and len/size elements lie inside Data, which the
	// result keeps alive.
	return unsafe.Slice((*T)(unsafe.Pointer(p)), len(t.Data)/size)
}

// Bit returns element i of a Bit tensor. An i out of range panics, as an index of a slice does.
func (t Tensor) Bit(i int) bool { return t.Data[i>>3]>>(i&7)&1 == 1 }

// SetBit sets element i of a Bit tensor to one. An i out of range panics.
func (t Tensor) SetBit(i int) { t.Data[i>>3] |= 1 << (i & 7) }

// Len returns the number of elements.
func (t Tensor) Len() int { return Count(t.Dims) }

// None reports whether t is the zero Tensor.
func (t Tensor) None() bool { return t.DType == InvalidDType }

// Clone returns a copy that shares no memory with t.
func (t Tensor) Clone() Tensor {
	c := Tensor{DType: t.DType, Dims: append([]int(nil), t.Dims...), Data: alignedBytes(len(t.Data))}
	copy(c.Data, t.Data)
	return c
}

// Check returns an error unless the type, the dimensions and the length and alignment of Data fit
// together.
func (t Tensor) Check() error {
	if !t.DType.Valid() {
		return fmt.Errorf("array: tensor: want a type of elements, got %v", t.DType)
	}
	if err := CheckDims(t.Dims); err != nil {
		return err
	}
	if want := t.DType.Bytes(t.Len()); len(t.Data) != want {
		return fmt.Errorf("array: tensor %v%v: want %d bytes, got %d", t.DType, t.Dims, want, len(t.Data))
	}
	align := uintptr(t.DType.Bytes(1))
	if uintptr(unsafe.Pointer(unsafe.SliceData(t.Data)))%align != 0 { // the address is only read
		return fmt.Errorf("array: tensor %v%v is not aligned to its elements; use array.New", t.DType, t.Dims)
	}
	return nil
}
