package models

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// MLP is a multilayer perceptron: linear layers with ReLU between them, applied to the flattened
// input.
//
// Parameters: fc1, fc2, …
type MLP struct {
	// Hidden are the numbers of outputs of all layers except the last.
	Hidden []int
	// Classes is the number of classes, at least 1.
	Classes int
}

// leNet300 returns LeNet-300-100, a common first network in papers about pruning. It has 266,200
// prunable weights for images of 28×28 pixels and 10 classes.
//
// Reference: https://doi.org/10.1109/5.726791.
func leNet300(classes int) MLP { return MLP{Hidden: []int{300, 100}, Classes: classes} }

// Forward returns the logits [N Classes] of x [N …].
func (m MLP) Forward(p *nn.Pass, x graph.Node) graph.Node {
	x = nn.Flatten(p, x)
	for i, out := range m.Hidden {
		x = nn.ReLU(p, p.Apply(fmt.Sprintf("fc%d", i+1), nn.Linear{Out: out}, x))
	}
	return p.Apply(fmt.Sprintf("fc%d", len(m.Hidden)+1), nn.Linear{Out: m.Classes}, x)
}
