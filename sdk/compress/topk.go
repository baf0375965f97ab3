package compress

import (
	"context"
	"math"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// TopK sets the given fraction of all prunable weights to zero, ranked together by |w|: global
// magnitude pruning. Its text name is "topk:SPARSITY".
//
//	kept = the round(n·(1−p)) largest |w| of all n prunable weights
//
// The value is the sparsity p, from 0 (keep all) to 1 (keep none).
//
// The number of kept weights is exact. Of equal |w| the lowest index is kept, counted through the
// weights in order. NaN ranks above every number and is kept, so that it remains visible. Levels
// nest: topk:0.5 keeps everything that topk:0.9 keeps. A small layer with small weights can lose
// all of them; exclude it by [Except], or use [Uniform].
//
// Reference: https://arxiv.org/abs/2207.14200. The authors' code keeps up to one weight
// less and drops all ties at the threshold.
type TopK float64

// String returns the text name, for example "topk:0.9".
func (p TopK) String() string { return "topk:" + number(float64(p)) }

// Compress returns masks for the prunable weights. They must be f32 or f64, all of one type.
func (p TopK) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	return compressMasked(ctx, p, w)
}

// Build appends the masks to b and returns the masked weights.
func (p TopK) Build(b *graph.Builder, w []WeightNode) []CompressedNode { return buildMasked(b, p, w) }

// Check returns an error if the sparsity is not in [0, 1].
func (p TopK) Check() error { return settingsError(p, checkSparsity(float64(p))) }

func (p TopK) skip(Meta) string { return "" }

func (p TopK) masks(ctx context.Context, w []array.Tensor) ([]array.Tensor, error) {
	total := 0
	for _, t := range w {
		total += t.Len()
	}
	return topMasks(ctx, keepCount(total, float64(p)), w)
}

func (p TopK) nodes(b *graph.Builder, w []WeightNode) []graph.Node {
	total := 0
	for _, s := range w {
		total += array.Count(s.Dims)
	}
	return b.TopKMask(keepCount(total, float64(p)), valuesOf(w)...)
}

// keepCount returns the number of weights of n that are kept at sparsity p.
func keepCount(n int, p float64) int { return int(math.Round(float64(n) * (1 - p))) }
