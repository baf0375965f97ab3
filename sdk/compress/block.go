package compress

import (
	"context"
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Block sets the given fraction of the blocks of all kernels to zero, ranked together by their sums
// of |w|. A block is Size consecutive output channels at one input channel and kernel position. Its
// text name is "blockSIZE:SPARSITY".
//
//	kept = the round(n·(1−p)) blocks with the largest Σ|w| of all n blocks
//
// A kernel that computes a block loads each input once for Size outputs, so blocks are cheaper to
// compute than single weights at the same sparsity.
//
// The sums are computed in float64 in order of index. Of equal sums the lowest block is kept,
// counted through the weights in order and row-major in each. NaN ranks above every number. A
// kernel whose output channels are not a multiple of Size gets no mask, and Skipped gives the
// reason. Embeddings get none either, because neighboring rows are unrelated.
type Block struct {
	// Size is the number of output channels of a block; 0 means 4.
	Size int
	// Sparsity is the fraction p of the blocks that is set to zero, from 0 (keep all) to 1 (keep
	// none).
	Sparsity float64
}

const defaultBlock = 4

func (c Block) size() int {
	if c.Size == 0 {
		return defaultBlock
	}
	return c.Size
}

// String returns the text name, for example "block4:0.8".
func (c Block) String() string { return fmt.Sprintf("block%d:%s", c.size(), number(c.Sparsity)) }

// Compress returns masks for the kernels. They must be f32 or f64, all of one type.
func (c Block) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	return compressMasked(ctx, c, w)
}

// Build appends the masks to b and returns the masked weights.
func (c Block) Build(b *graph.Builder, w []WeightNode) []CompressedNode { return buildMasked(b, c, w) }

// Check returns an error if Size is negative or Sparsity is not in [0, 1].
func (c Block) Check() error {
	if c.Size < 0 {
		return settingsError(c, fmt.Errorf("size is %d, want at least 1", c.Size))
	}
	return settingsError(c, checkSparsity(c.Sparsity))
}

func (c Block) skip(m Meta) string {
	switch {
	case m.Role != graph.Kernel:
		return "blocks are for kernels"
	case len(m.Dims) == 0:
		return "a scalar has no output channels"
	case m.Dims[0]%c.size() != 0:
		return fmt.Sprintf("output channels %d are not a multiple of %d", m.Dims[0], c.size())
	}
	return ""
}

func (c Block) masks(ctx context.Context, w []array.Tensor) ([]array.Tensor, error) {
	scores, total := make([][]int64, len(w)), 0
	for i, t := range w {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		inner := array.Count(t.Dims[1:])
		if t.DType == array.F32 {
			scores[i] = blockScores(t.F32(), c.size(), inner)
		} else {
			scores[i] = blockScores(t.F64(), c.size(), inner)
		}
		total += len(scores[i])
	}
	t, err := findThreshold(ctx, f64, keepCount(total, c.Sparsity), scores)
	if err != nil {
		return nil, err
	}
	out, err := emptyMasks(w)
	if err != nil {
		return nil, err
	}
	for i, x := range w {
		t.keepBlocks(out[i], scores[i], c.size(), array.Count(x.Dims[1:]))
	}
	return out, nil
}

func (c Block) nodes(b *graph.Builder, w []WeightNode) []graph.Node {
	total := 0
	for _, s := range w {
		total += array.Count(s.Dims) / c.size()
	}
	return b.BlockMask(keepCount(total, c.Sparsity), c.size(), valuesOf(w)...)
}
