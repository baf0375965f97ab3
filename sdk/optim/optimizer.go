package optim

import (
	"fmt"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// Weights are the trained parameters of a step, in the order of the model's forward pass.
type Weights []compress.WeightNode

// Grads are gradients of [Weights], in the same order.
type Grads []graph.Node

// Clock holds the inputs of an [Optimizer] that change from step to step. Both are scalars of the
// weights' type.
type Clock struct {
	// LR is the learning rate.
	LR graph.Node
	// Step is the number of the step. The first step has number 1.
	Step graph.Node
}

// An Optimizer computes the next weights from the gradient.
type Optimizer interface {
	// String returns the name and the settings on one line. A training resumes only from a
	// checkpoint with the same text.
	fmt.Stringer

	// Update appends the computation to b and returns the next value of each weight, in the order
	// of w. State is kept in slots of kind graph.OptimizerState that Update declares and updates,
	// named after the optimizer and the parameter ("sgd.momentum/conv1.weight").
	Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node
}

// state declares the slot kind/name of w's type and returns its name and value.
func state(b *graph.Builder, kind string, w compress.WeightNode) (slot string, value graph.Node) {
	slot = kind + "/" + w.Name
	return slot, b.Slot(graph.Slot{Name: slot, Kind: graph.OptimizerState, Type: b.Type(w.W)})
}

// decay returns g + λ·w, the gradient with an L2 penalty.
func decay(b *graph.Builder, g, w graph.Node, lambda float64) graph.Node {
	if lambda == 0 {
		return g
	}
	return b.Add(g, b.Scale(w, lambda))
}

// descend returns w - lr·d.
func descend(b *graph.Builder, w, d, lr graph.Node) graph.Node { return b.Sub(w, b.Mul(d, lr)) }
