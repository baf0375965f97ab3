package compress

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/internal/gorgonia"
	"github.com/compressaware/cram/sdk/array"
)

// Tensor returns a copy of the weight's values as a gorgonia tensor, for use in a [Func]. It
// returns an error if the values are not f32.
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

// Mask returns the result for a weight of the given dimensions that keeps the elements for which
// keep returns true. i is the row-major index of an element.
func Mask(dims []int, keep func(i int) bool) (Compressed, error) {
	if keep == nil {
		return Compressed{}, errors.New("compress: mask: keep is nil; give a function that selects the elements to keep")
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

// Values returns the result for an f32 weight that replaces its values by a copy of those of t. It
// has no mask.
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
