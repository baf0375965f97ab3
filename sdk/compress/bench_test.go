package compress_test

import (
	"math/rand/v2"
	"testing"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// BenchmarkCompress compresses as many weights as ResNet-50 has.
func BenchmarkCompress(b *testing.B) {
	data := make([]float32, 4096*6144)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = float32(0.05 * r.NormFloat64())
	}
	w := []compress.Weight{weight(b, "w", graph.Kernel, data, 4096, 6144)}
	for _, c := range []compress.Compressor{
		compress.TopK(0.5), compress.TopK(0.9), compress.NM{N: 2, M: 4}, compress.NM{N: 4, M: 8}, compress.Block{Sparsity: 0.8},
	} {
		b.Run(c.String(), func(b *testing.B) {
			b.SetBytes(int64(4 * len(data)))
			for b.Loop() {
				if _, err := c.Compress(b.Context(), w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
