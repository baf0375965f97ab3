package compress

import (
	"context"
	"errors"
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// NM keeps the N largest |w| of each M consecutive weights along axis 1. Its text name is "nm:N:M".
//
//	kept = the N largest of |w[o, M·g]|, …, |w[o, M·g + M-1]|   for each output o and group g
//
// Settings: 1 ≤ N ≤ M; there are no defaults. 2:4 and 4:8 are the usual ones.
//
// Axis 1 holds the input channels of a convolution [out in height width], the inputs of a linear
// layer [out in] and the features of an embedding [rows features]. A weight whose axis 1 is not a
// multiple of M gets no mask, and its Skipped gives the reason; the first convolution and depthwise
// convolutions are common cases. Of equal |w| the lowest index is kept. NaN ranks above every
// number.
//
// Reference: https://arxiv.org/abs/2207.14200; https://arxiv.org/abs/2102.04010.
type NM struct{ N, M int }

// nmAxis is the axis of the groups: the input channels.
const nmAxis = 1

// String returns the text name, for example "nm:2:4".
func (c NM) String() string { return fmt.Sprintf("nm:%d:%d", c.N, c.M) }

// Compress returns masks for the prunable weights. They must be f32 or f64, all of one type.
func (c NM) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	out, err := compressMasked(ctx, c, w)
	for i := range out {
		if !out[i].Mask.None() {
			out[i].Pattern = Pattern{N: c.N, M: c.M, Axis: nmAxis}
		}
	}
	return out, err
}

// Build appends the masks to b and returns the masked weights.
func (c NM) Build(b *graph.Builder, w []WeightNode) []CompressedNode { return buildMasked(b, c, w) }

// Check returns an error if N is below 1 or above M.
func (c NM) Check() error {
	if c.N < 1 || c.N > c.M {
		return settingsError(c, errors.New("want 1 ≤ N ≤ M, as in nm:2:4"))
	}
	return nil
}

func (c NM) skip(m Meta) string {
	switch {
	case len(m.Dims) <= nmAxis:
		return fmt.Sprintf("shape %v has no axis %d", m.Dims, nmAxis)
	case m.Dims[nmAxis]%c.M != 0:
		return fmt.Sprintf("input channels %d are not a multiple of %d", m.Dims[nmAxis], c.M)
	}
	return ""
}

func (c NM) masks(ctx context.Context, w []array.Tensor) ([]array.Tensor, error) {
	out, err := emptyMasks(w)
	if err != nil {
		return nil, err
	}
	for i, t := range w {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		inner := array.Count(t.Dims[nmAxis+1:])
		if t.DType == array.F32 {
			topOfGroups(out[i], f32, f32.view(t), c.N, c.M, inner)
		} else {
			topOfGroups(out[i], f64, f64.view(t), c.N, c.M, inner)
		}
	}
	return out, nil
}

func (c NM) nodes(b *graph.Builder, w []WeightNode) []graph.Node {
	out := make([]graph.Node, len(w))
	for i, s := range w {
		out[i] = b.NMMask(s.W, c.N, c.M, nmAxis)
	}
	return out
}
