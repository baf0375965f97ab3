package array

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A Quantization maps the integers of an I8 tensor to real numbers. At index k of Axis
//
//	real = Scale[k]·(q - Zero[k])
//
// With Axis -1 one scale and one zero, Scale[0] and Zero[0], hold for the whole tensor.
type Quantization struct {
	Axis  int       // the axis that Scale and Zero are indexed by, or -1
	Scale []float32 // finite and above 0
	Zero  []int32   // one for each scale; the integer that means 0, -128 to 127
}

// Check returns an error unless q fits a tensor with these dims: Scale and Zero have an entry for
// each index of Axis, and their values are in range.
func (q Quantization) Check(dims []int) error {
	if err := q.check(dims); err != nil {
		return fmt.Errorf("array: quantization: %w", err)
	}
	return nil
}

func (q Quantization) check(dims []int) error {
	want := 1
	if q.Axis != -1 {
		if q.Axis < 0 || q.Axis >= len(dims) {
			return fmt.Errorf("want an axis of %v or -1, got %d", dims, q.Axis)
		}
		want = dims[q.Axis]
	}
	if len(q.Scale) != want || len(q.Zero) != want {
		return fmt.Errorf("axis %d of %v: want %d scales and zeros, got %d and %d", q.Axis, dims, want, len(q.Scale), len(q.Zero))
	}
	for k, s := range q.Scale {
		if !(s > 0) || math.IsInf(float64(s), 0) {
			return fmt.Errorf("want a finite scale above 0, got %g at index %d", s, k)
		}
		if z := q.Zero[k]; z < math.MinInt8 || z > math.MaxInt8 {
			return fmt.Errorf("want a zero of -128 to 127, got %d at index %d", z, k)
		}
	}
	return nil
}

// checkQuantization returns an error unless the Quantization of v, if any, fits its other parts.
func (v Value) checkQuantization() error {
	q := v.Quantization
	if q == nil {
		return nil
	}
	if v.DType != I8 {
		return v.wrong("want i8 elements for a quantization")
	}
	if err := q.check(v.Dims); err != nil {
		return v.wrong("quantization: %w", err)
	}
	if v.Encoding == Dense {
		return nil
	}
	for k, z := range q.Zero {
		if z != 0 {
			return v.wrong("elements that are not stored are 0: want zeros of 0, got %d at index %d; store it dense", z, k)
		}
	}
	return nil
}

// dequantize returns the real numbers of a checked value with a Quantization, as F32.
func (v Value) dequantize() (Value, error) {
	q := v.Quantization
	inner, n := v.Len(), 1 // elements for each step along the axis; length of the axis
	if q.Axis >= 0 {
		inner, n = Count(v.Dims[q.Axis+1:]), v.Dims[q.Axis]
	}
	out := v
	out.Quantization, out.DType, out.Values = nil, F32, alignedBytes(4*len(v.Values))
	s, overflow := 0, -1 // stored elements so far
	v.each(func(i int) {
		k := i / inner % n
		// The product is exact in float64, so it is rounded once.
		x := float32(float64(q.Scale[k]) * float64(int32(int8(v.Values[s]))-q.Zero[k]))
		if math.IsInf(float64(x), 0) && overflow < 0 {
			overflow = i
		}
		binary.LittleEndian.PutUint32(out.Values[4*s:], math.Float32bits(x))
		s++
	})
	if overflow >= 0 {
		return Value{}, v.wrong("element %d is beyond the range of f32; use a smaller scale", overflow)
	}
	return out, nil
}
