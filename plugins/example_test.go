package plugins_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// A plugin with a compressor that sets small weights to zero.
func ExampleServe() {
	plugins.Serve(plugins.Plugin{Name: "small", Version: "1.0.0", Compressor: compress.Func("small:0.01",
		func(_ context.Context, w []compress.Weight) (out []compress.Compressed, err error) {
			out = make([]compress.Compressed, len(w))
			for i, x := range w {
				values := x.Data.F32()
				if !x.Prunable() || values == nil {
					continue
				}
				large := func(j int) bool { return math.Abs(float64(values[j])) >= 0.01 }
				if out[i], err = compress.Mask(x.Dims, large); err != nil {
					return nil, err
				}
			}
			return out, nil
		})})
}

// A training uses a plugin like a local compressor. Here the program is the test binary.
func ExampleCompressor() {
	ctx := context.Background()
	c, err := plugins.LaunchCompressor(ctx, command("topk"))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	set, err := data.Shapes(64, 1)
	if err != nil {
		log.Fatal(err)
	}
	trainer := sdk.Trainer{Model: models.SmallCNN(10), Epochs: 1, Batch: 32, Method: optim.CrAMPlus(0.05, c)}
	net, err := trainer.Fit(ctx, set, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(net.Levels())
	// Output: [dense]
}

// A plugin is used like a local compressor. Here the program is the test binary, with the
// compressor TopK(0.9) under another name.
func ExampleLaunchCompressor() {
	c, err := plugins.LaunchCompressor(context.Background(), command("topk"))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	x, err := array.From([]float32{.1, -2, .3, .4, -.5, .6, .7, -.8, .9, 1}, 2, 5)
	if err != nil {
		log.Fatal(err)
	}
	w := []compress.Weight{{Meta: compress.Meta{Name: "fc.weight", Role: graph.Kernel, Dims: x.Dims}, Data: x}}
	out, err := c.Compress(context.Background(), w)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c, "keeps the second weight:", out[0].Mask.Bit(1), "and the last:", out[0].Mask.Bit(9))
	// Output: host-topk:0.9 keeps the second weight: true and the last: false
}

// The slots of a backend plugin are in the other process.
func ExampleLaunchBackend() {
	ctx := context.Background()
	b, err := plugins.LaunchBackend(ctx, command("cpu"))
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	session, err := b.NewSession(ctx)
	if err != nil {
		log.Fatal(err)
	}
	w, err := array.From([]float32{1, 2, 3})
	if err != nil {
		log.Fatal(err)
	}
	if err := session.Set(ctx, "w", array.DenseValue(w)); err != nil {
		log.Fatal(err)
	}
	got, err := session.Get(ctx, "w")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(b.Info().Name, got.F32())
	// Output: cpu [1 2 3]
}

// Describe returns the description of a plugin.
func ExampleDescribe() {
	info, err := plugins.Describe(context.Background(), command("halve"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Name, info.Version, info.Compressor.Name, info.Compressor.Values)
	// Output: test 1 halve true
}
