// Small is a plugin for cram with one compressor, which sets weights with a magnitude below 0.01 to
// zero.
//
//	go build -o small .
//	cram plugin test ./small
//	cram train --model small-cnn --data shapes --epochs 6 --method cram+ --rho 0.05 --levels plugin:./small --out net.cram
//
// A Go program starts it with plugins.LaunchCompressor(ctx, plugins.Command{Path: "./small"}).
package main

import (
	"context"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/compress"
)

func main() {
	plugins.Serve(plugins.Plugin{
		Name: "small", Version: "1.0.0", Compressor: compress.Func("small:0.01", zeroSmall),
	})
}

// zeroSmall returns a mask for each weight that can be pruned.
func zeroSmall(_ context.Context, weights []compress.Weight) (out []compress.Compressed, err error) {
	out = make([]compress.Compressed, len(weights))
	for i, w := range weights {
		values := w.Data.F32()
		if !w.Prunable() || values == nil {
			continue // a bias, for example, or not f32: it is unchanged
		}
		// The condition keeps NaN, so that a check finds it.
		keep := func(j int) bool { return !(-0.01 < values[j] && values[j] < 0.01) }
		if out[i], err = compress.Mask(w.Dims, keep); err != nil {
			return nil, err
		}
	}
	return out, nil
}
