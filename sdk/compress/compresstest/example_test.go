package compresstest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/compress/compresstest"
)

// small sets all prunable weights below a threshold to zero.
func small(threshold float32) compress.Compressor {
	return compress.Func("small", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		for i, x := range w {
			if !x.Prunable() {
				continue
			}
			var err error
			data := x.Data.F32()
			out[i], err = compress.Mask(x.Dims, func(k int) bool { return data[k] <= -threshold || data[k] >= threshold })
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

func TestSmall(t *testing.T) { compresstest.Run(t, small(0.3), compresstest.Options{}) }

func ExampleRun() {
	// In a test file:
	_ = func(t *testing.T) {
		compresstest.Run(t, small(0.3), compresstest.Options{})
	}
}

// A program that runs the suite without go test.
func ExampleChecks() {
	for _, check := range compresstest.Checks() {
		if err := check.Run(context.Background(), small(0.3), compresstest.Options{}); err != nil {
			fmt.Println(check.Name, err)
			return
		}
	}
	fmt.Println("conforms")
	// Output: conforms
}
