// Small is a compressor for cram in a process of its own: it zeroes the weights whose magnitude is below 0.01.
//
//	go build -o small .
//	cram plugin test ./small
//	cram train --model small-cnn --data shapes --method cram+ --rho 0.05 --levels plugin:./small --out net.cram
//
// In a program of yours it is a value: plugins.LaunchCompressor(ctx, plugins.Command{Path: "./small"}).
package main

import (
	"context"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/compress"
)

func main() {
	plugins.Serve(plugins.Plugin{Name: "small", Version: "1.0.0", Compressor: compress.Func("small:0.01", zeroSmall)})
}

func zeroSmall(_ context.Context, weights []compress.Weight) (out []compress.Compressed, err error) {
	out = make([]compress.Compressed, len(weights))
	for i, w := range weights {
		values := w.Data.F32()
		if !w.Prunable() || values == nil {
			continue // a bias or the like, or no f32: it stays as it is
		}
		out[i], err = compress.Mask(w.Dims, func(j int) bool { return !(-0.01 < values[j] && values[j] < 0.01) }) // so that NaN stays visible
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
