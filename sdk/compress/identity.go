package compress

import (
	"context"

	"github.com/compressaware/cram/sdk/graph"
)

// Identity leaves every weight unchanged: C(θ) = θ. Its text name is "dense".
//
// As one of the compressors of a method it trains the dense network in its share of the steps. As a
// level it is the uncompressed network.
type Identity struct{}

// String returns "dense".
func (Identity) String() string { return "dense" }

// Compress returns the zero [Compressed] for every weight.
func (Identity) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	return make([]Compressed, len(w)), ctx.Err()
}

// Build returns the node of every weight.
func (Identity) Build(_ *graph.Builder, w []WeightNode) []CompressedNode {
	out := make([]CompressedNode, len(w))
	for i, x := range w {
		out[i].Value = x.W
	}
	return out
}
