package compress

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// An ResultError says what is wrong with a compressor's answer.
type ResultError struct {
	Compressor string // its text name; empty when unknown
	Tensor     string // the weight's name; empty when the answer as a whole is wrong
	Cause      string // what was expected and what came
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
	return fmt.Sprintf("answered for %d weights, want all %d, in order", got, want)
}

// Check returns an [*AnswerError] unless out is a sound answer of c for w: one entry a weight; masks only for prunable
// weights, of type bit and the weight's shape, with zeros behind the last element; values of the weight's type and shape,
// zero outside the mask, and finite wherever the weight is. It cannot see whether c changed w.
func Check(c Compressor, w []Weight, out []Compressed) error {
	if c == nil {
		return &ResultError{Cause: "there is no compressor"}
	}
	if len(out) != len(w) {
		return &ResultError{Compressor: c.String(), Cause: wrongCount(len(out), len(w))}
	}
	for i := range w {
		if cause := check(w[i], out[i]); cause != "" {
			return &ResultError{Compressor: c.String(), Tensor: w[i].Name, Cause: cause}
		}
	}
	return nil
}

// check returns what is wrong with the answer for one weight, or "".
func check(w Weight, c Compressed) string {
	if err := w.valid(); err != nil {
		return fmt.Sprintf("the weight itself: %v", err)
	}
	switch {
	case c.Skipped != "" && !c.Mask.None():
		return fmt.Sprintf("it has a mask and is said to be dense: %q", c.Skipped)
	case !c.Mask.None() && !w.Prunable():
		return fmt.Sprintf("it has a mask but its role is %v; only kernels and embeddings are masked", w.Role)
	}
	if !c.Mask.None() {
		if cause := checkTensor("mask", c.Mask, array.Bit, w.Data.Dims); cause != "" {
			return cause
		}
		if n := c.Mask.Len() % 8; n != 0 && c.Mask.Data[len(c.Mask.Data)-1]>>n != 0 {
			return "mask: bits behind the last element are set; want zeros"
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
	return fmt.Sprintf("values of type %v; want f32 or f64", w.Data.DType)
}

// checkPattern returns what is wrong with a promise about a mask, or "".
func checkPattern(p Pattern, keep array.Tensor) string {
	if p == (Pattern{}) {
		return ""
	}
	if keep.None() {
		return fmt.Sprintf("it promises %d:%d without a mask", p.N, p.M)
	}
	if p.N < 1 || p.N > p.M || p.Axis < 0 || p.Axis >= len(keep.Dims) || keep.Dims[p.Axis]%p.M != 0 {
		return fmt.Sprintf("pattern %d:%d does not fit axis %d of shape %v", p.N, p.M, p.Axis, keep.Dims)
	}
	inner := array.Count(keep.Dims[p.Axis+1:])
	for first := 0; first < keep.Len(); first += p.M * inner { // of M rows along the axis
		for column := range inner {
			kept := 0
			for k := range p.M {
				if keep.Bit(first + k*inner + column) {
					kept++
				}
			}
			if kept > p.N {
				return fmt.Sprintf("it promises %d:%d along axis %d, but %d survive in the group of element %d", p.N, p.M, p.Axis, kept, first+column)
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

func checkValues[F float32 | float64](w, values []F, keep array.Tensor) string {
	for i, v := range values {
		if v-v != 0 && w[i]-w[i] == 0 { // x−x is 0 exactly for finite x
			return fmt.Sprintf("values: element %d was %v and is %v", i, w[i], v)
		}
		if v != 0 && !keep.None() && !keep.Bit(i) {
			return fmt.Sprintf("values: element %d is %v but the mask drops it; want 0", i, v)
		}
	}
	return ""
}

// Apply returns the compressed weights as dense tensors: Values where given, zero outside Keep. A weight that is left as
// it is comes back as it is, sharing memory. It is an [*AnswerError] if out does not pass [Check].
func Apply(w []Weight, out []Compressed) ([]array.Tensor, error) {
	if len(out) != len(w) {
		return nil, &ResultError{Cause: wrongCount(len(out), len(w))}
	}
	applied := make([]array.Tensor, len(w))
	for i, c := range out {
		if cause := check(w[i], c); cause != "" {
			return nil, &ResultError{Tensor: w[i].Name, Cause: cause}
		}
		applied[i] = w[i].Data
		if !c.Values.None() {
			applied[i] = c.Values
		}
		if !c.Mask.None() {
			t, err := keep(applied[i], c.Mask)
			if err != nil {
				return nil, &ResultError{Tensor: w[i].Name, Cause: err.Error()}
			}
			applied[i] = t
		}
	}
	return applied, nil
}

// keep returns t where the mask is one and +0 elsewhere.
func keep(t, mask array.Tensor) (array.Tensor, error) {
	out, err := array.New(t.DType, t.Dims...)
	if err != nil {
		return out, err
	}
	size := t.DType.Bytes(1)
	for at, b := range mask.Data {
		for ; b != 0; b &= b - 1 {
			i := (at*8 + bits.TrailingZeros8(b)) * size
			copy(out.Data[i:i+size], t.Data[i:])
		}
	}
	return out, nil
}
