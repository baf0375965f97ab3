package compress

import (
	"context"

	"github.com/compressaware/cram/sdk/graph"
)

// Identity leaves every weight as it is: the identity, C(θ) = θ. Its text name is "dense". In a set of compressors it makes some
// of the steps train the dense model; as a level it is the uncompressed one.
type Identity struct{}

// String returns "dense".
func (Identity) String() string { return "dense" }

// Compress answers with the zero [Compressed] for every weight.
func (Identity) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	return make([]Compressed, len(w)), ctx.Err()
}

// Build returns every weight's own node.
func (Identity) Build(_ *graph.Builder, w []WeightNode) []CompressedNode {
	out := make([]CompressedNode, len(w))
	for i, x := range w {
		out[i].Value = x.W
	}
	return out
}
