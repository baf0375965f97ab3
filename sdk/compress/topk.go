package compress

import (
	"context"
	"math"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// TopK zeroes the given fraction of all prunable weights together, the smallest |w| first: global magnitude pruning
// (paper §2, Global). Its text name is "topk:SPARSITY".
//
//	keep = the round(n·(1−p)) largest |w| of all n prunable weights
//
// The value is the sparsity p, 0 (keep all) to 1 (keep none). The count is exact: of equal |w| the lowest index survives,
// counting through the weights in order, and NaN ranks above every number, so that it stays visible. Levels nest: what
// topk:0.9 keeps, topk:0.5 keeps too. The authors' code keeps up to one weight fewer and drops all ties at the threshold.
type TopK float64

// String returns "topk:0.9".
func (p TopK) String() string { return "topk:" + number(float64(p)) }

// Compress answers with masks for the prunable weights, f32 or f64.
func (p TopK) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	return compressMasked(ctx, p, w)
}

// Build is the graph form of Compress.
func (p TopK) Build(b *graph.Builder, w []WeightNode) []CompressedNode { return buildMasked(b, p, w) }

// Check returns an error unless the settings are in range.
func (p TopK) Check() error { return validSparsity(float64(p)) }

func (p TopK) skip(Meta) string { return "" }

func (p TopK) masks(ctx context.Context, w []array.Tensor) ([]array.Tensor, error) {
	total := 0
	for _, t := range w {
		total += t.Len()
	}
	return topMasks(ctx, survivors(total, float64(p)), w)
}

func (p TopK) nodes(b *graph.Builder, w []WeightNode) []graph.Node {
	total := 0
	for _, s := range w {
		total += array.Count(s.Dims)
	}
	return b.TopKMask(survivors(total, float64(p)), syms(w)...)
}

// survivors returns how many of n are left at sparsity p.
func survivors(n int, p float64) int { return int(math.Round(float64(n) * (1 - p))) }
