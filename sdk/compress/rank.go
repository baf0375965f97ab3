package compress

import (
	"context"
	"math"

	"github.com/compressaware/cram/sdk/array"
)

// Ranking by magnitude on the host. The rank of w is its bits as an integer, without the sign bit.
// Ranks have the order of |w|. Everything above infinity is NaN, and all NaN have one rank.

// A format describes the ranks of one type of floats.
type format[T int32 | int64] struct {
	view     func(array.Tensor) []T // the bits of a tensor's floats, in the same memory
	abs, nan T                      // all bits except the sign; the rank of NaN, one above infinity
	width    int                    // bits
}

var (
	f32 = format[int32]{
		view:  func(t array.Tensor) []int32 { t.DType = array.I32; return t.I32() },
		abs:   math.MaxInt32,
		nan:   int32(math.Float32bits(float32(math.Inf(1)))) + 1,
		width: 32,
	}
	f64 = format[int64]{
		view:  func(t array.Tensor) []int64 { t.DType = array.I64; return t.I64() },
		abs:   math.MaxInt64,
		nan:   int64(math.Float64bits(math.Inf(1))) + 1,
		width: 64,
	}
)

// A threshold selects the values that are kept: all of a higher rank, and the first ties values of
// the same rank.
type threshold[T int32 | int64] struct {
	format[T]
	digit int // width of a radix digit in bits
	rank  T
	ties  int
}

// findThreshold returns the threshold that keeps n of all values. It is a radix selection from the
// highest digit down, in O(len).
func findThreshold[T int32 | int64](ctx context.Context, f format[T], n int, w [][]T) (*threshold[T], error) {
	t := &threshold[T]{format: f, digit: 16, ties: n} // two passes rank f32, four rank f64
	if n == 0 {
		t.rank = f.abs
		return t, nil
	}
	total := 0
	for _, data := range w {
		total += len(data)
	}
	if total < 1<<16 {
		t.digit = 8 // for few values, clearing 2¹⁶ counts takes longer than two more passes
	}
	count := make([]int, 1<<t.digit)
	for shift := f.width - t.digit; shift >= 0; shift -= t.digit {
		clear(count)
		for _, data := range w {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			t.countDigits(count, data, shift)
		}
		d := len(count) - 1
		for ; d > 0 && t.ties > count[d]; d-- {
			t.ties -= count[d]
		}
		t.rank = t.rank<<t.digit | T(d)
	}
	return t, nil
}

// countDigits counts the digits at shift of all ranks whose higher digits are those of t.rank.
func (t *threshold[T]) countDigits(count []int, data []T, shift int) {
	abs, nan, higher, digit := t.abs, t.nan, t.rank, t.digit
	last := T(len(count) - 1)
	for _, x := range data {
		if rank := min(x&abs, nan) >> shift; rank>>digit == higher {
			count[rank&last]++
		}
	}
}

// keeps reports whether the next value is kept, given its rank. It counts the ties down.
func (t *threshold[T]) keeps(rank T) bool {
	if rank == t.rank && t.ties > 0 {
		t.ties--
		return true
	}
	return rank > t.rank
}

// keepElements sets the bits of the elements that are kept.
func (t *threshold[T]) keepElements(mask array.Tensor, data []T) {
	abs, nan, limit := t.abs, t.nan, t.rank
	for base := 0; base < len(data); base += 8 {
		var b byte
		for i, x := range data[base:min(base+8, len(data))] {
			rank, bit := min(x&abs, nan), byte(0)
			if rank > limit {
				bit = 1
			}
			if rank == limit && t.keeps(rank) {
				bit = 1
			}
			b |= bit << i
		}
		mask.Data[base/8] = b
	}
}

// keepBlocks sets the bits of the blocks that are kept. Block k of block row r consists of the
// elements (r·size + j)·inner + k, 0 ≤ j < size.
func (t *threshold[T]) keepBlocks(mask array.Tensor, scores []T, size, inner int) {
	for i, s := range scores {
		if !t.keeps(s) {
			continue
		}
		r, k := i/inner, i%inner
		for j := range size {
			mask.SetBit((r*size+j)*inner + k)
		}
	}
}

// topMasks returns masks that keep the n largest |w| of all tensors together. The tensors have one
// type, F32 or F64.
func topMasks(ctx context.Context, n int, w []array.Tensor) ([]array.Tensor, error) {
	if w[0].DType == array.F32 {
		return topElements(ctx, f32, n, w)
	}
	return topElements(ctx, f64, n, w)
}

func topElements[T int32 | int64](ctx context.Context, f format[T], n int, w []array.Tensor) ([]array.Tensor, error) {
	data := make([][]T, len(w))
	for i, x := range w {
		data[i] = f.view(x)
	}
	t, err := findThreshold(ctx, f, n, data)
	if err != nil {
		return nil, err
	}
	out, err := emptyMasks(w)
	if err != nil {
		return nil, err
	}
	for i := range w {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t.keepElements(out[i], data[i])
	}
	return out, nil
}

// topOfGroups sets the bits of the n largest of each m consecutive elements along an axis of stride
// inner.
func topOfGroups[T int32 | int64](mask array.Tensor, f format[T], data []T, n, m, inner int) {
	ranks := make([]T, m)
	for base := 0; base < len(data); base += m * inner {
		for k := range inner {
			for j := range ranks {
				ranks[j] = min(data[base+j*inner+k]&f.abs, f.nan)
			}
			for range n {
				best := 0
				for j, rank := range ranks {
					if rank > ranks[best] {
						best = j
					}
				}
				ranks[best] = -1 // below every rank: not chosen again
				mask.SetBit(base + best*inner + k)
			}
		}
	}
}

// blockScores returns the rank of Σ|w| of each block, in format f64.
func blockScores[F float32 | float64](w []F, size, inner int) []int64 {
	out := make([]int64, len(w)/size)
	sums := make([]float64, inner)
	for row := 0; row < len(out); row += inner {
		clear(sums)
		for j := range size {
			for k, x := range w[row*size+j*inner:][:inner] {
				sums[k] += math.Abs(float64(x))
			}
		}
		for k, s := range sums {
			out[row+k] = min(int64(math.Float64bits(s))&f64.abs, f64.nan)
		}
	}
	return out
}

// emptyMasks returns an all-zero mask for each tensor.
func emptyMasks(w []array.Tensor) ([]array.Tensor, error) {
	out := make([]array.Tensor, len(w))
	for i, t := range w {
		var err error
		if out[i], err = array.New(array.Bit, t.Dims...); err != nil {
			return nil, err
		}
	}
	return out, nil
}
