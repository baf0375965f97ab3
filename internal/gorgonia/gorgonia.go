// Package gorgonia converts between *tensor.Dense of gorgonia.org/tensor, which the public API
// uses, and dimensions with a row-major []float32.
//
// The library panics on wrong shapes, and its method Float32s ignores strides, so a slice or a
// transpose has its elements in another order there. All other packages use [From] and [To], which
// respect strides and return errors instead of panics.
package gorgonia

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"
)

// From returns the dimensions of t and its values in row-major order.
//
// The values share the memory of t if t is row-major and contiguous. From copies the values of
// other tensors (slices, transposes, column-major tensors). The dimensions are always a copy.
//
// A tensor that is nil, not Float32, a scalar, empty, masked, or in memory that Go cannot read is
// an error.
func From(t *tensor.Dense) (dims []int, data []float32, err error) {
	switch {
	case t == nil:
		return nil, nil, errors.New("tensor: want a Float32 tensor, got nil")
	case t.Dtype() == tensor.Dtype{}:
		return nil, nil, errors.New("tensor: want a Float32 tensor, got one without a type; make it with tensor.New")
	case t.Dtype() != tensor.Float32:
		return nil, nil, fmt.Errorf("tensor: want dtype float32, got %v; convert the backing slice to []float32 first", t.Dtype())
	case !t.IsNativelyAccessible():
		return nil, nil, errors.New("tensor: its memory is not accessible from Go; copy it to the host first")
	case t.IsMasked():
		return nil, nil, errors.New("tensor: masked tensors are not supported; fill the masked elements first")
	case t.Dims() == 0:
		return nil, nil, errors.New("tensor: want at least one dimension, got a scalar; give it shape (1)")
	}
	dims = slices.Clone([]int(t.Shape()))
	n, err := Elements(dims)
	if err != nil {
		return nil, nil, err
	}
	strides := t.Strides()
	if len(strides) != len(dims) {
		return nil, nil, fmt.Errorf("tensor: shape %v has %d strides; materialize it first", dims, len(strides))
	}
	last, ok := lastOffset(dims, strides)
	if !ok || last >= t.DataSize() {
		return nil, nil, fmt.Errorf("tensor: shape %v with strides %v exceeds its %d values", dims, strides, t.DataSize())
	}
	backing := t.Float32s()
	if slices.Equal(strides, rowMajor(dims)) {
		return dims, backing[:n:n], nil
	}
	return dims, gather(backing, dims, strides, n), nil
}

// To returns a row-major tensor that shares the memory of data. Empty dims, a dimension below 1,
// and a product of dims other than len(data) are errors.
func To(dims []int, data []float32) (*tensor.Dense, error) {
	if len(dims) == 0 {
		return nil, errors.New("tensor: want at least one dimension, got none")
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

// Elements returns the product of dims. A dimension below 1 and a product that overflows are
// errors.
func Elements(dims []int) (int, error) {
	n := 1
	for axis, d := range dims {
		if d < 1 {
			return 0, fmt.Errorf("tensor: shape %v is empty: dimension %d is %d, want at least 1", dims, axis, d)
		}
		if n > math.MaxInt/d {
			return 0, fmt.Errorf("tensor: shape %v: the number of elements overflows an int", dims)
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

// lastOffset returns the largest offset of an element. It returns false if a stride is negative or
// the offset overflows.
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

// gather returns n strided values in row-major order.
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
