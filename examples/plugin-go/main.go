// Small is a plugin for cram with one compressor, which sets weights with a magnitude below a
// threshold to zero.
//
//	go build -o small .
//	cram plugin test './small?0.01'
//	cram train --model small-cnn --data shapes --epochs 6 --method cram+ --rho 0.05 \
//	    --levels 'plugin:./small?0.01' --out net.cram
//
// The program in the directory train starts it.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/compress"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "small: want one argument, the threshold, as in: cram plugin info './small?0.01'")
		os.Exit(2)
	}
	threshold, err := strconv.ParseFloat(os.Args[1], 32)
	if err != nil {
		fmt.Fprintln(os.Stderr, "small: threshold:", err)
		os.Exit(2)
	}
	plugins.Serve(plugins.Plugin{Name: "small", Version: "1.0.0", Compressor: small(threshold)})
}

// small is the compressor. Its value is the threshold.
type small float32

// String returns the name, which the levels of a checkpoint have. It contains the settings, so that
// levels with other settings have other names.
func (s small) String() string { return "small:" + strconv.FormatFloat(float64(s), 'g', -1, 32) }

// Check returns what is wrong with the settings. Serve calls it.
func (s small) Check() error {
	if !(s >= 0) {
		return fmt.Errorf("small: want a threshold of 0 or more, got %v", float32(s))
	}
	return nil
}

// Compress returns a mask for each weight that can be pruned.
func (s small) Compress(ctx context.Context, weights []compress.Weight) (out []compress.Compressed, err error) {
	out = make([]compress.Compressed, len(weights))
	for i, w := range weights {
		values := w.Data.F32()
		if !w.Prunable() || values == nil {
			continue // a bias, for example, or not f32: it is unchanged
		}
		// The condition keeps NaN, so that a check finds it.
		keep := func(j int) bool { return !(-float32(s) < values[j] && values[j] < float32(s)) }
		if out[i], err = compress.Mask(w.Dims, keep); err != nil {
			return nil, err
		}
	}
	return out, ctx.Err()
}
