// Package promise defines what tests require of the masks of [compress.NM] and [compress.Block].
package promise

import (
	"errors"
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
)

// Groups returns the promise of N:M sparsity: each mask keeps at most n of each m consecutive
// elements along axis, and a prunable weight without a mask has a reason.
func Groups(n, m, axis int) func(compress.Weight, compress.Compressed) error {
	return func(w compress.Weight, c compress.Compressed) error {
		if c.Mask.None() {
			return checkSkipped(w, c)
		}
		if axis >= len(w.Dims) || w.Dims[axis]%m != 0 {
			return fmt.Errorf("shape %v is masked although groups of %d do not fit axis %d", w.Dims, m, axis)
		}
		inner := array.Count(w.Dims[axis+1:])
		kept := map[int]int{} // by first element of the group
		for i := range c.Mask.Len() {
			if c.Mask.Bit(i) {
				kept[i-i/inner%m*inner]++
			}
		}
		for first, k := range kept {
			if k > n {
				return fmt.Errorf("the group of %d at element %d keeps %d, promised at most %d", m, first, k, n)
			}
		}
		return nil
	}
}

// Blocks returns the promise of block sparsity: each mask keeps or drops size consecutive indices
// of axis 0 together, and a prunable weight without a mask has a reason.
func Blocks(size int) func(compress.Weight, compress.Compressed) error {
	return func(w compress.Weight, c compress.Compressed) error {
		if c.Mask.None() {
			return checkSkipped(w, c)
		}
		if len(w.Dims) == 0 || w.Dims[0]%size != 0 {
			return fmt.Errorf("shape %v is masked although blocks of %d do not fit axis 0", w.Dims, size)
		}
		inner := array.Count(w.Dims[1:])
		for i := range c.Mask.Len() {
			if first := i - i/inner%size*inner; c.Mask.Bit(i) != c.Mask.Bit(first) {
				return fmt.Errorf("the block of %d at element %d is kept in part", size, first)
			}
		}
		return nil
	}
}

// checkSkipped returns an error if a prunable weight without a mask has no reason.
func checkSkipped(w compress.Weight, c compress.Compressed) error {
	if w.Prunable() && c.Skipped == "" {
		return errors.New("no mask, and Skipped gives no reason")
	}
	return nil
}
