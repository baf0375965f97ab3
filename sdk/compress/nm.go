package compress

import (
	"context"
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// NM keeps the N largest |w| of each M consecutive weights along axis 1 (paper §2, N:M): the input channels of a
// convolution [O I H W], the inputs of a linear layer [O I], the features of an embedding [rows features], which are the
// inputs of the output layer where the two are tied. Its text name is "nm:N:M".
//
// 1 ≤ N ≤ M. Of equal |w| the lowest index survives and NaN ranks above every number. A weight whose axis 1 is not a
// multiple of M stays dense, and the answer says so: usually the first convolution, and depthwise ones.
type NM struct{ N, M int }

// nmAxis is the axis of the groups, input channels of OIHW and of OI.
const nmAxis = 1

// String returns "nm:2:4".
func (c NM) String() string { return fmt.Sprintf("nm:%d:%d", c.N, c.M) }

// Compress answers with masks for the prunable weights, f32 or f64.
func (c NM) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	out, err := compressMasked(ctx, c, w)
	for i := range out {
		if !out[i].Mask.None() {
			out[i].Pattern = Pattern{N: c.N, M: c.M, Axis: nmAxis}
		}
	}
	return out, err
}

// Build is the graph form of Compress.
func (c NM) Build(b *graph.Builder, w []WeightNode) []CompressedNode { return buildMasked(b, c, w) }

// Check returns an error unless the settings are in range.
func (c NM) Check() error {
	if c.N < 1 || c.N > c.M {
		return fmt.Errorf("want 1 ≤ N ≤ M, as in nm:2:4")
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
