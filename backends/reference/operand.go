package reference

import (
	"fmt"
	"math"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// An operand is a tensor as the kernels use it, row-major.
type operand struct {
	dtype array.DType
	dims  []int
	f     []float64 // the elements of F32 and F64
	i     []int64   // the elements of I8, I32, I64, and of Bit as 0 or 1
}

func zeros(d array.DType, dims []int) operand {
	a := operand{dtype: d, dims: dims}
	if n := array.Count(dims); d.Float() {
		a.f = make([]float64, n)
	} else {
		a.i = make([]int64, n)
	}
	return a
}

func (a operand) size() int { return array.Count(a.dims) }

func (a operand) sameType(b operand) bool { return a.dtype == b.dtype && slices.Equal(a.dims, b.dims) }

// is reports whether a has the constant type t.
func (a operand) is(t graph.Type) bool {
	dims, fixed := t.Shape.Dims()
	return fixed && a.sameType(operand{dtype: t.DType, dims: dims})
}

// round rounds the elements to the precision of their type.
func (a operand) round() {
	if a.dtype == array.F32 {
		for k, v := range a.f {
			a.f[k] = float64(float32(v))
		}
	}
}

// copy sets element k of a to element j of x, which has the same element type.
func (a operand) copy(k int, x operand, j int) {
	if a.dtype.Float() {
		a.f[k] = x.f[j]
	} else {
		a.i[k] = x.i[j]
	}
}

// strides returns the distance between neighbours along each axis.
func strides(dims []int) []int {
	s := make([]int, len(dims))
	for ax, n := len(dims)-1, 1; ax >= 0; ax-- {
		s[ax] = n
		n *= dims[ax]
	}
	return s
}

// walk visits every index of an array with the given dimensions, in row-major order: k counts them,
// and j is offset + Σ index[ax]·stride[ax], the position of the same index in another array.
func walk(dims []int, offset int, stride []int, visit func(k, j int)) {
	index := make([]int, len(dims))
	for k, j := 0, offset; ; k++ {
		visit(k, j)
		ax := len(dims) - 1
		for ; ax >= 0; ax-- {
			index[ax]++
			j += stride[ax]
			if index[ax] < dims[ax] {
				break
			}
			j -= index[ax] * stride[ax]
			index[ax] = 0
		}
		if ax < 0 {
			return
		}
	}
}

// decode returns the decoded v.
func decode(v array.Value) (operand, error) {
	t, err := v.Decode()
	if err != nil {
		return operand{}, err
	}
	if !supported(t.DType) {
		return operand{}, fmt.Errorf("values of type %v cannot be held", t.DType)
	}
	return load(t), nil
}

// load copies a checked tensor of a supported type.
func load(t array.Tensor) operand {
	a := zeros(t.DType, slices.Clone(t.Dims))
	switch t.DType {
	case array.F32:
		for k, v := range t.F32() {
			a.f[k] = float64(v)
		}
	case array.F64:
		copy(a.f, t.F64())
	case array.I8:
		for k, v := range t.Data {
			a.i[k] = int64(int8(v))
		}
	case array.I32:
		for k, v := range t.I32() {
			a.i[k] = int64(v)
		}
	case array.I64:
		copy(a.i, t.I64())
	case array.Bit:
		for k := range a.i {
			if t.Bit(k) {
				a.i[k] = 1
			}
		}
	}
	return a
}

// store is the inverse of load: it writes every byte of t, which has a's type.
func (a operand) store(t array.Tensor) {
	switch a.dtype {
	case array.F32:
		to := t.F32()
		for k, v := range a.f {
			to[k] = float32(v)
		}
	case array.F64:
		copy(t.F64(), a.f)
	case array.I8:
		for k, v := range a.i {
			t.Data[k] = byte(v)
		}
	case array.I32:
		to := t.I32()
		for k, v := range a.i {
			to[k] = int32(v)
		}
	case array.I64:
		copy(t.I64(), a.i)
	case array.Bit:
		clear(t.Data)
		for k, v := range a.i {
			if v != 0 {
				t.SetBit(k)
			}
		}
	}
}

// setFloat sets element k to v: truncated and clamped for an integer type (NaN gives 0), v ≠ 0 for
// a bit.
func (a operand) setFloat(k int, v float64) {
	switch {
	case a.dtype.Float():
		a.f[k] = v
	case a.dtype == array.Bit:
		a.i[k] = bit(v != 0)
	case math.IsNaN(v):
		a.i[k] = 0
	case v <= math.MinInt64:
		a.setInt(k, math.MinInt64)
	case v >= math.MaxInt64:
		a.setInt(k, math.MaxInt64)
	default:
		a.setInt(k, int64(v))
	}
}

// setInt sets element k to v: rounded once for a float type, clamped for a smaller integer type, v
// ≠ 0 for a bit.
func (a operand) setInt(k int, v int64) {
	switch a.dtype {
	case array.F32:
		a.f[k] = float64(float32(v))
	case array.F64:
		a.f[k] = float64(v)
	case array.I8:
		a.i[k] = min(max(v, math.MinInt8), math.MaxInt8)
	case array.I32:
		a.i[k] = min(max(v, math.MinInt32), math.MaxInt32)
	case array.I64:
		a.i[k] = v
	case array.Bit:
		a.i[k] = bit(v != 0)
	}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
