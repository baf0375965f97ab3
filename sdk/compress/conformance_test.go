package compress_test

import (
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/compress/compresstest"
	"github.com/compressaware/cram/sdk/compress/internal/promise"
)

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		compressor compress.Compressor
		promise    func(compress.Weight, compress.Compressed) error
	}{
		{compress.Identity{}, nil},
		{compress.TopK(0), nil},
		{compress.TopK(0.5), nil},
		{compress.TopK(0.9), nil},
		{compress.TopK(1), nil},
		{compress.Uniform(0.8), nil},
		{compress.NM{N: 2, M: 4}, promise.Groups(2, 4, 1)},
		{compress.NM{N: 1, M: 3}, promise.Groups(1, 3, 1)},
		{compress.NM{N: 4, M: 8}, promise.Groups(4, 8, 1)},
		{compress.Block{Sparsity: 0.8}, promise.Blocks(4)},
		{compress.Block{Size: 3, Sparsity: 0.5}, promise.Blocks(3)},
		{compress.Only(compress.TopK(0.7), "layer*.conv?.weight", "fc.weight"), nil},
		{compress.Except(compress.NM{N: 2, M: 4}, "conv1.weight"), promise.Groups(2, 4, 1)},
		{compress.Except(compress.Only(compress.Block{Sparsity: 0.5}, "*.weight", "fc.*"), "fc.bias"), promise.Blocks(4)},
	} {
		for _, d := range []array.DType{array.F32, array.F64} {
			t.Run(c.compressor.String()+"/"+d.String(), func(t *testing.T) {
				compresstest.Run(t, c.compressor, compresstest.Options{DType: d, Promise: c.promise})
			})
		}
	}
}
