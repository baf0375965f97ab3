package compress

import (
	"context"
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A masker is an operator of this package that only zeroes weights. What it shares with the others, choosing the weights and
// wrapping the masks, is below; masks and nodes are its two forms and see only the weights that it masks.
type masker interface {
	Compressor
	Check() error       // what is wrong with its own parameters, or nil
	skip(m Meta) string // why a prunable weight stays dense, or ""
	masks(ctx context.Context, w []array.Tensor) ([]array.Tensor, error)
	nodes(b *graph.Builder, w []WeightNode) []graph.Node
}

func compressMasked(ctx context.Context, c masker, w []Weight) ([]Compressed, error) {
	if err := CheckCompressor(c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]Compressed, len(w))
	var at []int
	var data []array.Tensor
	for i, x := range w {
		if !x.Prunable() {
			continue
		}
		if out[i].Skipped = c.skip(x.Meta); out[i].Skipped != "" {
			continue
		}
		if err := readable(x); err != nil {
			return nil, fmt.Errorf("compress: %v: %w", c, err)
		}
		if len(at) > 0 && x.Data.DType != data[0].DType {
			return nil, fmt.Errorf("compress: %v: weight %q is %v and %q is %v; they are ranked together and must have one type",
				c, w[at[0]].Name, data[0].DType, x.Name, x.Data.DType)
		}
		at, data = append(at, i), append(data, x.Data)
	}
	if len(at) == 0 {
		return out, nil
	}
	masks, err := c.masks(ctx, data)
	if err != nil {
		return nil, err
	}
	for k, i := range at {
		out[i].Mask = masks[k]
	}
	return out, nil
}

// readable returns why a weight's data cannot be ranked, or nil.
func readable(w Weight) error {
	if w.Data.DType != array.F32 && w.Data.DType != array.F64 {
		return fmt.Errorf("weight %q: want type f32 or f64, got %v; cast it first", w.Name, w.Data.DType)
	}
	if err := w.valid(); err != nil {
		return fmt.Errorf("weight %q: %w", w.Name, err)
	}
	return nil
}

// valid returns why the data is not what Meta says, or nil.
func (w Weight) valid() error {
	if err := w.Data.Check(); err != nil {
		return err
	}
	if !slices.Equal(w.Dims, w.Data.Dims) {
		return fmt.Errorf("Meta says shape %v, the data has %v", w.Dims, w.Data.Dims)
	}
	return nil
}

func buildMasked(b *graph.Builder, c masker, w []WeightNode) []CompressedNode {
	out := make([]CompressedNode, len(w))
	for i, x := range w {
		out[i].Value = x.W
	}
	if err := CheckCompressor(c); err != nil {
		b.Fail("%w", err)
		return out
	}
	var at []int
	var masked []WeightNode
	for i, x := range w {
		if !x.Prunable() {
			continue
		}
		if out[i].Skipped = c.skip(x.Meta); out[i].Skipped == "" {
			at, masked = append(at, i), append(masked, x)
		}
	}
	if len(at) == 0 {
		return out
	}
	for k, mask := range c.nodes(b, masked) {
		i := at[k]
		out[i].Mask, out[i].Value = mask, b.Mask(w[i].W, mask)
	}
	return out
}

func syms(w []WeightNode) []graph.Node {
	out := make([]graph.Node, len(w))
	for i, s := range w {
		out[i] = s.W
	}
	return out
}

func validSparsity(p float64) error {
	if !(p >= 0 && p <= 1) { // NaN too
		return fmt.Errorf("sparsity is %v, want 0 (keep all) to 1 (keep none)", p)
	}
	return nil
}
