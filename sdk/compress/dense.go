package compress

import (
	"context"

	"github.com/compressaware/cram/sdk/graph"
)

// Dense leaves every weight as it is: the identity, C(θ) = θ. Its text name is "dense". In a set of compressors it makes some
// of the steps train the dense model; as a level it is the uncompressed one.
type Dense struct{}

// String returns "dense".
func (Dense) String() string { return "dense" }

// Compress answers with the zero [Compressed] for every weight.
func (Dense) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	return make([]Compressed, len(w)), ctx.Err()
}

// Build returns every weight's own node.
func (Dense) Build(_ *graph.Builder, w []Sym) []SymCompressed {
	out := make([]SymCompressed, len(w))
	for i, x := range w {
		out[i].Value = x.W
	}
	return out
}
