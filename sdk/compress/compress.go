// Package compress holds the paper's C: operators that map weights to compressed weights, and the interface they share.
//
// A [Compressor] sees all weights of a model at once, because it may rank them globally, and answers for each with a mask
// of what survives, with new values, or with nothing (left as it is). One that can also express itself as graph operations
// implements [GraphCompressor] and then runs inside the training step; the trainer cuts the step around one that cannot.
// The optimizer knows nothing of which operator it has (paper §1: "C can be any operator").
//
// Every operator has a text name, [Compressor.String], that [Parse] reads back: "topk:0.9", "uniform:0.8", "nm:2:4",
// "block4:0.8", "only(layer*.weight):topk:0.9". The command line and a checkpoint's levels share it. [Func] makes an operator
// of a caller's own function, and package compresstest tells whether it keeps the contract.
//
// Its settings are checked before it runs ([CheckCompressor]), what it answers before anything uses it ([Check]); [Apply] gives the compressed weights themselves,
// [NewReport] says what became of each.
package compress

import (
	"context"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Meta is what a compressor may know of a weight besides its values.
type Meta struct {
	Name        string
	Role        graph.Role
	Dims        []int // OIHW for convolutions, [out in] for linear layers
	First, Last bool  // the first or the last kernel of the model, in the order of its forward pass
}

// Prunable reports whether masks apply to the weight at all: kernels and embeddings, never biases or norm parameters.
func (m Meta) Prunable() bool { return m.Role == graph.Kernel || m.Role == graph.Embedding }

// A Weight is one tensor to compress. Data is read-only.
type Weight struct {
	Meta
	Data array.Tensor
}

// Compressed is the answer for one weight. The zero value leaves it as it is.
type Compressed struct {
	Mask    array.Tensor // bit mask of the weight's shape: what survives; none when no zeros are promised
	Values  array.Tensor // new values, of the weight's type and shape, zero outside Keep; none: unchanged where kept
	Pattern Pattern      // what Keep promises beyond zeros; zero: nothing
	Skipped string       // why the operator left a prunable weight dense ("input channels 3 are not a multiple of 4")
}

// A Pattern is a promise about a mask that storage and kernels can use: at most N survivors in each M consecutive weights along Axis.
// The zero value promises nothing.
type Pattern struct{ N, M, Axis int }

// A Compressor maps weights to compressed weights. It answers for every weight, in order, also for none at all, changes none
// of them, and does not touch its answer afterwards. It must be deterministic and safe for concurrent use. Once ctx is done it
// returns an error that wraps ctx.Err(). String returns its name, without white space.
type Compressor interface {
	String() string
	Compress(ctx context.Context, w []Weight) ([]Compressed, error)
}

// WeightNode is a weight as a value of a graph; its Meta is what the host form sees.
type WeightNode struct {
	Meta
	W graph.Node
}

// CompressedNode is the graph form of [Compressed]. Value is the compressed weight; Keep is none where no zeros are promised.
type CompressedNode struct {
	Value   graph.Node
	Mask    graph.Node
	Skipped string
}

// GraphCompressor is a Compressor that can also be built into a graph. Both forms must agree bit for bit.
type GraphCompressor interface {
	Compressor
	Build(b *graph.Builder, w []WeightNode) []CompressedNode
}
