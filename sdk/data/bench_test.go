package data_test

import (
	"testing"

	"github.com/compressaware/cram/internal/testdata"
	"github.com/compressaware/cram/sdk/data"
)

// BenchmarkLoaderCIFAR10 measures one worker that reads, crops, flips, normalizes and batches.
func BenchmarkLoaderCIFAR10(b *testing.B) {
	set, err := data.CIFAR10(testdata.Dir(b, "cifar-10-batches-bin"), data.Test)
	if err != nil {
		b.Fatal(err)
	}
	known, err := data.Lookup("cifar10")
	if err != nil {
		b.Fatal(err)
	}
	benchmarkLoader(b, data.Loader{Set: set, Transforms: append(known.Augment, known.Normalize)})
}

func BenchmarkLoaderShapes(b *testing.B) {
	set, err := data.Shapes(10000, 0)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkLoader(b, data.Loader{Set: set})
}

func benchmarkLoader(b *testing.B, l data.Loader) {
	l.Batch, l.Shuffle, l.Workers = 128, true, 1
	images := 0
	for epoch := 0; b.Loop(); epoch++ {
		for batch, err := range l.Epoch(b.Context(), epoch, 0) {
			if err != nil {
				b.Fatal(err)
			}
			images += batch.Len()
		}
	}
	b.ReportMetric(float64(images)/b.Elapsed().Seconds(), "images/s")
	b.ReportMetric(0, "ns/op")
}
