package optim

import (
	"fmt"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// Clock is what a rule may know of time: two scalars of the weights' type that are fed at each step.
type Clock struct {
	LR   graph.Node // learning rate
	Step graph.Node // 1 at the first step
}

// A Optimizer says what is done with the gradient. It returns the next weights and declares and updates slots of its own,
// of kind graph.OptimizerState, named after the rule and the parameter ("sgd.momentum/conv1.weight").
type Optimizer interface {
	fmt.Stringer
	Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node
}

// moment declares the slot kind/name of w's type and returns its value.
func moment(b *graph.Builder, kind string, w compress.WeightNode) (slot string, value graph.Node) {
	slot = kind + "/" + w.Name
	return slot, b.Slot(graph.Slot{Name: slot, Kind: graph.OptimizerState, Type: b.Type(w.W)})
}

// decay returns g + λ·w, the gradient of an L2 penalty.
func decay(b *graph.Builder, g, w graph.Node, lambda float64) graph.Node {
	if lambda == 0 {
		return g
	}
	return b.Add(g, b.Scale(w, lambda))
}

// descend returns w - lr·d.
func descend(b *graph.Builder, w, d, lr graph.Node) graph.Node { return b.Sub(w, b.Mul(d, lr)) }
