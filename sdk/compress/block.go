package compress

import (
	"context"
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Block zeroes the given fraction of the blocks of all kernels together, the smallest first. A block is Size consecutive
// output channels at one input and position; one load of the input then feeds Size outputs, which is what makes blocks
// about twice as fast as single zeros on a CPU. Its text name is "blockSIZE:SPARSITY".
//
//	keep = the round(n·(1−p)) largest Σ|w| of all n blocks
//
// Σ|w| is summed in float64 in order of index; of equal sums the lowest block survives, counting through the weights in
// order and row-major inside each, and NaN ranks above every number. A kernel whose output channels are not a multiple of
// Size stays dense, and so does an embedding, whose neighbouring rows have nothing in common; the answer says so.
type Block struct {
	Size     int     // output channels a block; 0 means 4
	Sparsity float64 // fraction of the blocks to zero, 0 to 1
}

const defaultBlock = 4

func (c Block) size() int {
	if c.Size == 0 {
		return defaultBlock
	}
	return c.Size
}

// String returns "block4:0.8".
func (c Block) String() string { return fmt.Sprintf("block%d:%s", c.size(), number(c.Sparsity)) }

// Compress answers with masks for the kernels, f32 or f64.
func (c Block) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	return compressMasked(ctx, c, w)
}

// Build is the graph form of Compress.
func (c Block) Build(b *graph.Builder, w []WeightNode) []CompressedNode { return buildMasked(b, c, w) }

// Check returns an error unless the settings are in range.
func (c Block) Check() error {
	if c.Size < 0 {
		return fmt.Errorf("size is %d, want at least 1", c.Size)
	}
	return validSparsity(c.Sparsity)
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
	at, err := selectTop(ctx, f64, survivors(total, c.Sparsity), scores)
	if err != nil {
		return nil, err
	}
	out, err := emptyMasks(w)
	if err != nil {
		return nil, err
	}
	for i, t := range w {
		at.keepBlocks(out[i], scores[i], c.size(), array.Count(t.Dims[1:]))
	}
	return out, nil
}

func (c Block) nodes(b *graph.Builder, w []WeightNode) []graph.Node {
	total := 0
	for _, s := range w {
		total += array.Count(s.Dims) / c.size()
	}
	return b.BlockMask(survivors(total, c.Sparsity), c.size(), syms(w)...)
}
