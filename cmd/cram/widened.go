package main

import (
	"errors"
	"fmt"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
)

// noteWidened writes a note if a level of a file has weights in 16 bits, which are computed as
// float32.
func (a *app) noteWidened(file, level string) error {
	r, err := checkpoint.Open(file)
	if err != nil {
		return err
	}
	info, err := r.LevelInfo(level)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	count := map[array.DType]int{}
	for _, t := range info.Tensors {
		count[t.DType]++
	}
	for _, d := range []array.DType{array.BF16, array.F16} {
		if count[d] > 0 {
			a.note("%s: level %s: tensors stored in 16 bits are widened to f32 (%d %v)", file, level, count[d], d)
		}
	}
	return nil
}
