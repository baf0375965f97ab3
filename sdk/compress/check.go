package compress

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// A ResultError describes a result of a compressor that breaks the contract. [Check], [NewReport]
// and [Compressed.Apply] return it.
type ResultError struct {
	// Compressor is the text name; empty when it is unknown.
	Compressor string
	// Tensor is the name of the weight; empty when the fault concerns the whole result.
	Tensor string
	// Cause states what was wanted and what the result has.
	Cause string
}

// Error returns "compress: compressor C: tensor T: CAUSE".
func (e *ResultError) Error() string {
	s := "compress: "
	if e.Compressor != "" {
		s += "compressor " + e.Compressor + ": "
	}
	if e.Tensor != "" {
		s += "tensor " + e.Tensor + ": "
	}
	return s + e.Cause
}

func wrongCount(got, want int) string {
	return fmt.Sprintf("want %d results, one for each weight, got %d", want, got)
}

// Check returns a [*ResultError] if out is not a valid result of c for w. A valid result has
//   - one entry for each weight;
//   - masks only for prunable weights, of type bit and the weight's shape, with zeros behind the
//     last element;
//   - masks with the pattern that the entry promises;
//   - values of the weight's type and shape, zero where the mask is 0, and finite wherever the
//     weight is finite.
//
// Check cannot detect that c changed w.
func Check(c Compressor, w []Weight, out []Compressed) error {
	if c == nil {
		return errors.New("compress: Check: the compressor is nil")
	}
	if len(out) != len(w) {
		return &ResultError{Compressor: c.String(), Cause: wrongCount(len(out), len(w))}
	}
	for i := range w {
		if cause := out[i].fault(w[i]); cause != "" {
			return &ResultError{Compressor: c.String(), Tensor: w[i].Name, Cause: cause}
		}
	}
	return nil
}

// fault returns what is wrong with c as the result for w, or "".
func (c Compressed) fault(w Weight) string {
	if err := w.check(); err != nil {
		return fmt.Sprintf("the weight itself: %v", err)
	}
	switch {
	case c.Skipped != "" && !c.Mask.None():
		return fmt.Sprintf("want a mask or a reason why it is dense, got both: %q", c.Skipped)
	case !c.Mask.None() && !w.Prunable():
		return fmt.Sprintf("want a mask only for kernels and embeddings, got one for a weight of role %v", w.Role)
	}
	if !c.Mask.None() {
		if cause := checkTensor("mask", c.Mask, array.Bit, w.Data.Dims); cause != "" {
			return cause
		}
		if n := c.Mask.Len() % 8; n != 0 && c.Mask.Data[len(c.Mask.Data)-1]>>n != 0 {
			return "mask: want zeros behind the last element, got other bits"
		}
	}
	if cause := checkPattern(c.Pattern, c.Mask); cause != "" {
		return cause
	}
	if c.Values.None() {
		return ""
	}
	if cause := checkTensor("values", c.Values, w.Data.DType, w.Data.Dims); cause != "" {
		return cause
	}
	switch w.Data.DType {
	case array.F32:
		return checkValues(w.Data.F32(), c.Values.F32(), c.Mask)
	case array.F64:
		return checkValues(w.Data.F64(), c.Values.F64(), c.Mask)
	}
	return fmt.Sprintf("values: want f32 or f64, got %v", w.Data.DType)
}

// checkPattern returns what is wrong with the promise about a mask, or "".
func checkPattern(p Pattern, mask array.Tensor) string {
	if p == (Pattern{}) {
		return ""
	}
	if mask.None() {
		return fmt.Sprintf("it promises %d:%d without a mask", p.N, p.M)
	}
	if p.N < 1 || p.N > p.M || p.Axis < 0 || p.Axis >= len(mask.Dims) || mask.Dims[p.Axis]%p.M != 0 {
		return fmt.Sprintf("pattern %d:%d does not fit axis %d of shape %v", p.N, p.M, p.Axis, mask.Dims)
	}
	inner := array.Count(mask.Dims[p.Axis+1:])
	for first := 0; first < mask.Len(); first += p.M * inner { // M rows along the axis
		for column := range inner {
			kept := 0
			for k := range p.M {
				if mask.Bit(first + k*inner + column) {
					kept++
				}
			}
			if kept > p.N {
				return fmt.Sprintf("it promises %d:%d along axis %d, but keeps %d in the group of element %d", p.N, p.M, p.Axis, kept, first+column)
			}
		}
	}
	return ""
}

func checkTensor(what string, t array.Tensor, d array.DType, dims []int) string {
	if t.DType != d || !slices.Equal(t.Dims, dims) {
		return fmt.Sprintf("%s: want %v%v, got %v%v", what, d, dims, t.DType, t.Dims)
	}
	if err := t.Check(); err != nil {
		return fmt.Sprintf("%s: %v", what, err)
	}
	return ""
}

func checkValues[F float32 | float64](w, values []F, mask array.Tensor) string {
	for i, v := range values {
		if v-v != 0 && w[i]-w[i] == 0 { // x−x is 0 exactly for finite x
			return fmt.Sprintf("values: element %d was %v and is %v", i, w[i], v)
		}
		if v != 0 && !mask.None() && !mask.Bit(i) {
			return fmt.Sprintf("values: element %d is %v but the mask drops it; want 0", i, v)
		}
	}
	return ""
}

// Apply returns the compressed weight as a dense tensor: Values, or the weight's own values without
// them, and +0 where the mask is 0. Without values and mask the tensor shares the memory of w.
// Apply returns a [*ResultError] if c is not a valid result for w, as [Check] defines it.
func (c Compressed) Apply(w Weight) (array.Tensor, error) {
	if cause := c.fault(w); cause != "" {
		return array.Tensor{}, &ResultError{Tensor: w.Name, Cause: cause}
	}
	t := w.Data
	if !c.Values.None() {
		t = c.Values
	}
	if c.Mask.None() {
		return t, nil
	}
	out, err := array.New(t.DType, t.Dims...)
	if err != nil {
		return out, &ResultError{Tensor: w.Name, Cause: err.Error()}
	}
	size := t.DType.Bytes(1)
	for at, b := range c.Mask.Data {
		for ; b != 0; b &= b - 1 {
			i := (at*8 + bits.TrailingZeros8(b)) * size
			copy(out.Data[i:i+size], t.Data[i:])
		}
	}
	return out, nil
}
