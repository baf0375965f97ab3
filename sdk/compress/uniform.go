package compress

import (
	"context"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Uniform zeroes the same fraction of each prunable weight tensor, the smallest |w| of that tensor first; the first and the
// last kernel of the model stay dense (paper §2, Uniform). Its text name is "uniform:SPARSITY".
//
//	keep = the round(n·(1−p)) largest |w| of each tensor of n weights
//
// The value is the sparsity p, 0 to 1. Ties, NaN and nesting are as in [TopK].
type Uniform float64

// String returns "uniform:0.8".
func (p Uniform) String() string { return "uniform:" + number(float64(p)) }

// Compress answers with masks for the prunable weights, f32 or f64.
func (p Uniform) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	return compressMasked(ctx, p, w)
}

// Build is the graph form of Compress.
func (p Uniform) Build(b *graph.Builder, w []WeightNode) []CompressedNode {
	return buildMasked(b, p, w)
}

// Check returns an error unless the settings are in range.
func (p Uniform) Check() error { return validSparsity(float64(p)) }

func (p Uniform) skip(m Meta) string {
	switch {
	case m.First:
		return "first kernel of the model"
	case m.Last:
		return "last kernel of the model"
	}
	return ""
}

func (p Uniform) masks(ctx context.Context, w []array.Tensor) ([]array.Tensor, error) {
	out := make([]array.Tensor, len(w))
	for i, t := range w {
		mask, err := topMasks(ctx, survivors(t.Len(), float64(p)), w[i:i+1])
		if err != nil {
			return nil, err
		}
		out[i] = mask[0]
	}
	return out, nil
}

func (p Uniform) nodes(b *graph.Builder, w []WeightNode) []graph.Node {
	out := make([]graph.Node, len(w))
	for i, s := range w {
		out[i] = b.TopKMask(survivors(array.Count(s.Dims), float64(p)), s.W)[0]
	}
	return out
}
