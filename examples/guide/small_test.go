package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/compressaware/cram/sdk/compress"
)

// Small is a compressor of a program's own, which sets weights with a smaller magnitude to zero.
type Small float32

// String returns the name of the levels. It contains the settings.
func (s Small) String() string { return "small:" + strconv.FormatFloat(float64(s), 'g', -1, 32) }

// Check returns what is wrong with the settings. A training calls it before it starts.
func (s Small) Check() error {
	if !(s >= 0) {
		return fmt.Errorf("small: want a threshold of 0 or more, got %v", float32(s))
	}
	return nil
}

// Compress returns a mask for each weight that can be pruned.
func (s Small) Compress(ctx context.Context, weights []compress.Weight) (out []compress.Compressed, err error) {
	out = make([]compress.Compressed, len(weights)) // an empty result leaves a weight unchanged
	for i, w := range weights {
		values := w.Data.F32()
		if !w.Prunable() || values == nil {
			continue
		}
		keep := func(j int) bool { return !(-float32(s) < values[j] && values[j] < float32(s)) } // NaN is kept
		if out[i], err = compress.Mask(w.Dims, keep); err != nil {
			return nil, err
		}
	}
	return out, ctx.Err()
}
