// Package gorgonia converts between *tensor.Dense of gorgonia.org/tensor, the currency at the user's door, and the plain
// form used behind it: dimensions and a row-major []float32.
//
// That library panics on bad shapes, and its Float32s ignores strides, so that a sliced or lazily transposed tensor
// reads as if it were neither. Nothing else in the module touches a Dense: it passes through [From] on the way in and
// through [To] on the way out, and both answer with an error where the library would panic.
package gorgonia

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"
)

// From returns t's dimensions and its values in row-major order.
//
// Where t is row-major and contiguous the values alias t's memory, and nothing is copied; a view with other strides (a
// slice, a transpose, a column-major tensor) is copied into order. The dimensions are always the caller's own.
//
// It is an error if t is nil, not Float32, a scalar, without elements, masked, or held in memory that Go cannot read.
func From(t *tensor.Dense) (dims []int, data []float32, err error) {
	switch {
	case t == nil:
		return nil, nil, fmt.Errorf("tensor: expected a Float32 tensor, got nil")
	case t.Dtype() == tensor.Dtype{}:
		return nil, nil, fmt.Errorf("tensor: expected a Float32 tensor, got one without a type: make it with tensor.New")
	case t.Dtype() != tensor.Float32:
		return nil, nil, fmt.Errorf("tensor: expected dtype float32, got %v: convert the backing slice to []float32 first", t.Dtype())
	case !t.IsNativelyAccessible():
		return nil, nil, fmt.Errorf("tensor: its memory is not accessible from Go: copy it to the host first")
	case t.IsMasked():
		return nil, nil, fmt.Errorf("tensor: masked tensors are not supported: fill the masked elements first")
	case t.Dims() == 0:
		return nil, nil, fmt.Errorf("tensor: expected at least one dimension, got a scalar: give it shape (1)")
	}
	dims = slices.Clone([]int(t.Shape()))
	n, err := Elements(dims)
	if err != nil {
		return nil, nil, err
	}
	strides := t.Strides()
	if len(strides) != len(dims) {
		return nil, nil, fmt.Errorf("tensor: shape %v has %d strides: materialise it first", dims, len(strides))
	}
	last, ok := lastOffset(dims, strides)
	if !ok || last >= t.DataSize() {
		return nil, nil, fmt.Errorf("tensor: shape %v with strides %v reaches outside its %d values", dims, strides, t.DataSize())
	}
	backing := t.Float32s()
	if slices.Equal(strides, rowMajor(dims)) {
		return dims, backing[:n:n], nil
	}
	return dims, gather(backing, dims, strides, n), nil
}

// To returns a row-major tensor over data, which it aliases.
//
// It is an error if dims is empty, has a dimension below one, or does not multiply to len(data).
func To(dims []int, data []float32) (*tensor.Dense, error) {
	if len(dims) == 0 {
		return nil, fmt.Errorf("tensor: expected at least one dimension, got none")
	}
	n, err := Elements(dims)
	if err != nil {
		return nil, err
	}
	if n != len(data) {
		return nil, fmt.Errorf("tensor: shape %v holds %d values, got %d", dims, n, len(data))
	}
	return tensor.New(tensor.WithShape(dims...), tensor.WithBacking(data)), nil
}

// Elements returns the product of dims, or an error if a dimension is below one or the product overflows.
func Elements(dims []int) (int, error) {
	n := 1
	for axis, d := range dims {
		if d < 1 {
			return 0, fmt.Errorf("tensor: shape %v is empty: dimension %d is %d, expected at least 1", dims, axis, d)
		}
		if n > math.MaxInt/d {
			return 0, fmt.Errorf("tensor: shape %v has more elements than an int can count", dims)
		}
		n *= d
	}
	return n, nil
}

// rowMajor returns the strides of a contiguous row-major tensor.
func rowMajor(dims []int) []int {
	strides := make([]int, len(dims))
	step := 1
	for axis := len(dims) - 1; axis >= 0; axis-- {
		strides[axis] = step
		step *= dims[axis]
	}
	return strides
}

// lastOffset returns the largest offset that the strides reach, and false if one is negative or the offset overflows.
func lastOffset(dims, strides []int) (int, bool) {
	last := 0
	for axis, s := range strides {
		reach := dims[axis] - 1
		if s < 0 || reach > 0 && s > (math.MaxInt-last)/reach {
			return 0, false
		}
		last += reach * s
	}
	return last, true
}

// gather copies n strided values into row-major order.
func gather(src []float32, dims, strides []int, n int) []float32 {
	dst := make([]float32, 0, n)
	index := make([]int, len(dims))
	inner := len(dims) - 1
	for offset := 0; ; {
		for i, at := 0, offset; i < dims[inner]; i, at = i+1, at+strides[inner] {
			dst = append(dst, src[at])
		}
		axis := inner - 1
		for ; axis >= 0; axis-- {
			index[axis]++
			offset += strides[axis]
			if index[axis] < dims[axis] {
				break
			}
			offset -= dims[axis] * strides[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return dst
		}
	}
}
