package backendtest

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// A bound is the largest distance of a result from the reference, in units u of the type's rounding
// (2⁻²⁴ for F32, 2⁻⁵³ for F64): an error of n·u relative to a scale. NaN and infinities must agree
// exactly.
type bound struct {
	units float64
	scale scale
}

// A scale is the magnitude that an error is relative to.
type scale int

const (
	// ofResult: the element itself. For functions of one element, which a library computes to a few
	// units in the last place.
	ofResult scale = iota
	// ofTerms: Σ|terms| of the sum the element is, found by running the program on absolute values.
	// The bound for a sum of n products in any order is n·u·Σ|terms| and grows like √n·u in
	// practice; a lost or doubled term is off by 1/n of the scale, far more than the bound.
	ofTerms
	// ofLargest: the largest magnitude in the tensor. For formulas that cancel, where neither of
	// the above holds.
	ofLargest
)

// exact is the bound of results that are moved, compared or rounded correctly, as IEEE 754 defines
// + - · / √. -0 equals 0.
var exact = bound{}

// within returns the bound n·u relative to s.
func within(n float64, s scale) bound { return bound{n, s} }

func (e bound) String() string {
	if e == exact {
		return "exact"
	}
	return fmt.Sprintf("%g·u %s", e.units, [...]string{"of the result", "of the sum of |terms|", "of the largest"}[e.scale])
}

// check returns the largest error of got against want that exceeds the bound, or nil. terms has the
// scale of every element for ofTerms.
func (e bound) check(got, want, terms array.Tensor) error {
	if got.DType != want.DType || !slices.Equal(got.Dims, want.Dims) {
		return fmt.Errorf("want %v%v, got %v%v", want.DType, want.Dims, got.DType, got.Dims)
	}
	if !want.DType.Float() {
		for k := range want.Len() {
			if g, w := element(got, k), element(want, k); g != w {
				return fmt.Errorf("element %v is %v, want %v", unravel(k, want.Dims), g, w)
			}
		}
		return nil
	}
	u := math.Ldexp(1, -24)
	if want.DType == array.F64 {
		u = math.Ldexp(1, -53)
	}
	largest := 0.0
	for k := range want.Len() {
		if v := math.Abs(element(want, k)); v > largest && !math.IsInf(v, 0) {
			largest = v
		}
	}
	worst, at, count := 0.0, 0, 0
	for k := range want.Len() {
		g, w := element(got, k), element(want, k)
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		size := math.Abs(w)
		switch e.scale {
		case ofTerms:
			size = math.Abs(element(terms, k))
		case ofLargest:
			size = largest
		}
		off := math.Abs(g-w) / (u * size)
		if math.IsNaN(off) || math.IsInf(w, 0) {
			off = math.Inf(1)
		}
		if off > e.units {
			count++
		}
		if off > worst {
			worst, at = off, k
		}
	}
	if count == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d elements are outside of the bound (%v); the worst, %v, is %v, want %v: %.3g·u off",
		count, want.Len(), e, unravel(at, want.Dims), element(got, at), element(want, at), worst)
}

func unravel(k int, dims []int) []int {
	index := make([]int, len(dims))
	for ax := len(dims) - 1; ax >= 0; ax-- {
		index[ax] = k % dims[ax]
		k /= dims[ax]
	}
	return index
}

// sameBits reports whether two tensors agree in type and every bit.
func sameBits(x, y array.Tensor) bool {
	return x.DType == y.DType && slices.Equal(x.Dims, y.Dims) && bytes.Equal(x.Data, y.Data)
}
