package compress

import (
	"context"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Uniform sets the same fraction of each prunable weight to zero, ranked by |w| within the tensor.
// The first and the last kernel of the model get no mask. Its text name is "uniform:SPARSITY".
//
//	kept = the round(n·(1−p)) largest |w| of each tensor of n weights
//
// The value is the sparsity p, from 0 (keep all) to 1 (keep none). Ties, NaN and the nesting of
// levels are as in [TopK].
//
// Reference: https://arxiv.org/abs/2207.14200.
type Uniform float64

// String returns the text name, for example "uniform:0.8".
func (p Uniform) String() string { return "uniform:" + number(float64(p)) }

// Compress returns masks for the prunable weights. They must be f32 or f64, all of one type.
func (p Uniform) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	return compressMasked(ctx, p, w)
}

// Build appends the masks to b and returns the masked weights.
func (p Uniform) Build(b *graph.Builder, w []WeightNode) []CompressedNode {
	return buildMasked(b, p, w)
}

// Check returns an error if the sparsity is not in [0, 1].
func (p Uniform) Check() error { return settingsError(p, checkSparsity(float64(p))) }

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
		mask, err := topMasks(ctx, keepCount(t.Len(), float64(p)), w[i:i+1])
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
		out[i] = b.TopKMask(keepCount(array.Count(s.Dims), float64(p)), s.W)[0]
	}
	return out
}
