package compress

import (
	"context"
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A masker is a compressor of this package that sets weights to zero and changes no others. masks
// is its host implementation and nodes its graph implementation; both receive only the weights that
// get a mask. The functions below choose these weights and make results of the masks.
type masker interface {
	Compressor
	Check() error       // an error if the settings are out of range
	skip(m Meta) string // the reason why a prunable weight gets no mask, or ""
	masks(ctx context.Context, w []array.Tensor) ([]array.Tensor, error)
	nodes(b *graph.Builder, w []WeightNode) []graph.Node
}

// compressMasked implements Compress.
func compressMasked(ctx context.Context, c masker, w []Weight) ([]Compressed, error) {
	if err := c.Check(); err != nil {
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
		if err := checkRankable(x); err != nil {
			return nil, fmt.Errorf("compress: %v: %w", c, err)
		}
		if len(at) > 0 && x.Data.DType != data[0].DType {
			return nil, fmt.Errorf("compress: %v: weight %q is %v and %q is %v; want one type, because they are ranked together",
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

// checkRankable returns an error if the values of a weight cannot be ranked.
func checkRankable(w Weight) error {
	if w.Data.DType != array.F32 && w.Data.DType != array.F64 {
		return fmt.Errorf("weight %q: want type f32 or f64, got %v; cast it first", w.Name, w.Data.DType)
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("weight %q: %w", w.Name, err)
	}
	return nil
}

// check returns an error if Data is malformed or has other dimensions than Meta.
func (w Weight) check() error {
	if err := w.Data.Check(); err != nil {
		return err
	}
	if !slices.Equal(w.Dims, w.Data.Dims) {
		return fmt.Errorf("Meta.Dims is %v, but the data has shape %v", w.Dims, w.Data.Dims)
	}
	return nil
}

// buildMasked implements Build.
func buildMasked(b *graph.Builder, c masker, w []WeightNode) []CompressedNode {
	out := make([]CompressedNode, len(w))
	for i, x := range w {
		out[i].Value = x.W
	}
	if err := c.Check(); err != nil {
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

func valuesOf(w []WeightNode) []graph.Node {
	out := make([]graph.Node, len(w))
	for i, x := range w {
		out[i] = x.W
	}
	return out
}
