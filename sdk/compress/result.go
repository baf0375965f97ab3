package compress

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/internal/gorgonia"
	"github.com/compressaware/cram/sdk/array"
)

// Identity returns a copy of the weight's values as a gorgonia tensor, for use in a [Func]. It is an error if they are not f32.
func (w Weight) Tensor() (*tensor.Dense, error) {
	if w.Data.DType != array.F32 {
		return nil, fmt.Errorf("compress: weight %q: want type f32, got %v", w.Name, w.Data.DType)
	}
	if err := w.Data.Check(); err != nil {
		return nil, fmt.Errorf("compress: weight %q: %w", w.Name, err)
	}
	t, err := gorgonia.To(w.Dims, append([]float32(nil), w.Data.F32()...))
	if err != nil {
		return nil, fmt.Errorf("compress: weight %q: %w", w.Name, err)
	}
	return t, nil
}

// Mask answers for a weight of the given extents with what survives: the elements whose row-major index keep accepts.
func Mask(dims []int, keep func(i int) bool) (Compressed, error) {
	if keep == nil {
		return Compressed{}, errors.New("compress: mask: keep is nil; give a function that says which elements survive")
	}
	mask, err := array.New(array.Bit, dims...)
	if err != nil {
		return Compressed{}, fmt.Errorf("compress: mask: %w", err)
	}
	for i := range mask.Len() {
		if keep(i) {
			mask.SetBit(i)
		}
	}
	return Compressed{Mask: mask}, nil
}

// Values answers for an f32 weight with new values, a copy of t's, and promises no zeros.
func Values(t *tensor.Dense) (Compressed, error) {
	dims, data, err := gorgonia.From(t)
	if err != nil {
		return Compressed{}, fmt.Errorf("compress: values: %w", err)
	}
	values, err := array.New(array.F32, dims...)
	if err != nil {
		return Compressed{}, fmt.Errorf("compress: values: %w", err)
	}
	copy(values.F32(), data)
	return Compressed{Values: values}, nil
}
