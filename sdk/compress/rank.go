package compress

import (
	"context"
	"math"

	"github.com/compressaware/cram/sdk/array"
)

// Ranking by magnitude on the host. The bits of a float, read as an integer with the sign cleared, order like |w|;
// all that lies above infinity is NaN and gets one rank.

// A format is how the floats of one type are ranked.
type format[T int32 | int64] struct {
	view     func(array.Tensor) []T // a tensor's floats as their bits, sharing memory
	abs, nan T                      // all bits but the sign; the rank of NaN, one above infinity
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

// A cut says which ranks survive: those above at, and the first ties of those equal to it.
type cut[T int32 | int64] struct {
	format[T]
	digit int // width of a radix digit in bits
	at    T
	ties  int
}

// selectTop returns the cut that keep of all values survive, by radix selection: O(n), from the highest digit down.
func selectTop[T int32 | int64](ctx context.Context, f format[T], keep int, w [][]T) (*cut[T], error) {
	c := &cut[T]{format: f, digit: 16, ties: keep} // two passes rank f32, four rank f64
	if keep == 0 {
		c.at = f.abs
		return c, nil
	}
	total := 0
	for _, data := range w {
		total += len(data)
	}
	if total < 1<<16 {
		c.digit = 8 // clearing the counts would take longer than the passes
	}
	count := make([]int, 1<<c.digit)
	for shift := f.width - c.digit; shift >= 0; shift -= c.digit {
		clear(count)
		for _, data := range w {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c.countDigits(count, data, shift)
		}
		d := len(count) - 1
		for ; d > 0 && c.ties > count[d]; d-- {
			c.ties -= count[d]
		}
		c.at = c.at<<c.digit | T(d)
	}
	return c, nil
}

// countDigits counts the digit at shift of the ranks whose higher digits are at.
func (c *cut[T]) countDigits(count []int, data []T, shift int) {
	abs, nan, at, digit := c.abs, c.nan, c.at, c.digit
	last := T(len(count) - 1)
	for _, x := range data {
		if rank := min(x&abs, nan) >> shift; rank>>digit == at {
			count[rank&last]++
		}
	}
}

// survives reports whether the next value, of the given rank, does; it uses up ties.
func (c *cut[T]) survives(rank T) bool {
	if rank == c.at && c.ties > 0 {
		c.ties--
		return true
	}
	return rank > c.at
}

// keepElements sets the bits of the elements that survive.
func (c *cut[T]) keepElements(mask array.Tensor, data []T) {
	abs, nan, at := c.abs, c.nan, c.at
	for base := 0; base < len(data); base += 8 {
		var b byte
		for i, x := range data[base:min(base+8, len(data))] {
			rank, bit := min(x&abs, nan), byte(0)
			if rank > at {
				bit = 1
			}
			if rank == at && c.survives(rank) {
				bit = 1
			}
			b |= bit << i
		}
		mask.Data[base/8] = b
	}
}

// keepBlocks sets the bits of the blocks that survive. Block k of block row r is the elements (r·size + j)·inner + k, 0 ≤ j < size.
func (c *cut[T]) keepBlocks(mask array.Tensor, scores []T, size, inner int) {
	for i, s := range scores {
		if !c.survives(s) {
			continue
		}
		r, k := i/inner, i%inner
		for j := range size {
			mask.SetBit((r*size+j)*inner + k)
		}
	}
}

// topMasks keeps the keep largest |w| of all tensors together, which have one type, F32 or F64.
func topMasks(ctx context.Context, keep int, w []array.Tensor) ([]array.Tensor, error) {
	if w[0].DType == array.F32 {
		return topElements(ctx, f32, keep, w)
	}
	return topElements(ctx, f64, keep, w)
}

func topElements[T int32 | int64](ctx context.Context, f format[T], keep int, w []array.Tensor) ([]array.Tensor, error) {
	data := make([][]T, len(w))
	for i, t := range w {
		data[i] = f.view(t)
	}
	c, err := selectTop(ctx, f, keep, data)
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
		c.keepElements(out[i], data[i])
	}
	return out, nil
}

// topOfGroups sets the bits of the n largest of each m consecutive along an axis whose indices are inner elements apart.
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
				ranks[best] = -1 // taken: below every rank
				mask.SetBit(base + best*inner + k)
			}
		}
	}
}

// blockScores returns Σ|w| of each block as a rank of format f64.
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

// emptyMasks returns a mask of zeros for each tensor.
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
