package compress

import (
	"context"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Meta describes a weight without its values.
type Meta struct {
	// Name is the full name of the parameter, for example "layer1.0.conv1.weight".
	Name string
	// Role is the use of the parameter. Masks are possible for [graph.Kernel] and [graph.Embedding]
	// only ([Meta.Prunable]).
	Role graph.Role
	// Dims are the dimensions: [out in/groups height width] for convolutions, [out in] for linear
	// layers, [rows features] for embeddings.
	Dims []int
	// First and Last mark the first and the last kernel of the model in the order of its forward
	// pass.
	First, Last bool
}

// Prunable reports whether masks apply to the weight: true for kernels and embeddings, false for
// biases and normalization parameters.
func (m Meta) Prunable() bool { return m.Role == graph.Kernel || m.Role == graph.Embedding }

// A Weight is one tensor to compress.
type Weight struct {
	Meta
	// Data holds the values. A compressor must not change them.
	Data array.Tensor
	// InputMoments is the mean of x² over the inputs x of the layer, for each index of axis 1 of
	// the weight (its input channels): f32[I]. The host sets it only for a [MomentUser], and only
	// when it has the moments. Otherwise it is the zero Tensor, and the compressor works without
	// it.
	InputMoments array.Tensor
}

// A MomentUser is a [Compressor] that uses [Weight.InputMoments] when UsesInputMoments returns
// true.
type MomentUser interface {
	Compressor

	// UsesInputMoments reports whether Compress reads the moments. The result never changes.
	UsesInputMoments() bool
}

// Compressed is the result of a compressor for one weight. The zero value leaves the weight
// unchanged.
type Compressed struct {
	// Mask is a bit tensor of the weight's shape. A 1 keeps the element, a 0 sets it to zero.
	// Without a mask (the zero Tensor) the result promises no zeros.
	Mask array.Tensor
	// Values are the new values, of the weight's type and shape and zero where Mask is 0. The zero
	// Tensor leaves the kept elements unchanged.
	Values array.Tensor
	// Pattern is a regularity of Mask. The zero value promises none.
	Pattern Pattern
	// Skipped is the reason why a prunable weight has no mask, for example "input channels 3 are
	// not a multiple of 4". It is empty for a weight with a mask.
	Skipped string
}

// A Pattern is a property of a mask that encodings and kernels can use: of each M consecutive
// elements along Axis at most N are kept. The zero value promises nothing.
type Pattern struct{ N, M, Axis int }

// A Compressor maps the weights of a network to compressed weights.
type Compressor interface {
	// String returns the text name. It contains no white space and never changes.
	String() string

	// Compress returns one result for each weight, in the order of w. For no weights it returns no
	// results. It must be deterministic and safe for concurrent use, must not change w, and must
	// not use the results after it returned them. After the end of ctx it returns an error that
	// wraps ctx.Err().
	Compress(ctx context.Context, w []Weight) ([]Compressed, error)
}

// WeightNode is a weight as a value of a graph.
type WeightNode struct {
	Meta
	// W holds the values.
	W graph.Node
}

// CompressedNode is the result of a [GraphCompressor] for one weight.
type CompressedNode struct {
	// Value is the compressed weight. It is required.
	Value graph.Node
	// Mask is the mask as in [Compressed]; the zero Node promises no zeros.
	Mask graph.Node
	// Skipped is the reason as in [Compressed].
	Skipped string
}

// GraphCompressor is a [Compressor] that can be built into a graph. The results of Build and of
// Compress must agree bit for bit.
type GraphCompressor interface {
	Compressor

	// Build appends the compression to b and returns one result for each weight, in the order of w.
	// It reports mistakes by b.Fail.
	Build(b *graph.Builder, w []WeightNode) []CompressedNode
}
