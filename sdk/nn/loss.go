package nn

import "github.com/compressaware/cram/sdk/graph"

// A Loss appends the scalar to be minimised, given the model's output and what it should have been.
type Loss func(b *graph.Builder, output, target graph.Node) graph.Node

// CrossEntropy is the mean over the batch of ln Σ_c e^logits[n,c] - logits[n,target[n]], for logits [N C] and labels
// [N] (I32).
func CrossEntropy(b *graph.Builder, logits, target graph.Node) graph.Node {
	return b.Mean(b.CrossEntropy(logits, target), false)
}

// MSE is the mean of (output-target)² over all elements.
func MSE(b *graph.Builder, output, target graph.Node) graph.Node {
	d := b.Sub(output, target)
	return b.Mean(b.Mul(d, d), false)
}
