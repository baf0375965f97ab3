package models

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// MLP is a multilayer perceptron: x is flattened, then linear layers with ReLU between them.
//
// Parameters: fc1, fc2, …
type MLP struct {
	Hidden  []int // outputs of each layer but the last
	Classes int
}

// LeNet300 is LeNet-300-100 (LeCun et al., 1998), the perceptron that pruning papers start with: 266,200 weights for
// images of 28×28 in 10 classes.
func LeNet300(classes int) MLP { return MLP{Hidden: []int{300, 100}, Classes: classes} }

// Forward returns the logits [N Classes] of x [N …].
func (m MLP) Forward(p *nn.Pass, x graph.Node) graph.Node {
	x = nn.Flatten(p, x)
	for i, out := range m.Hidden {
		x = nn.ReLU(p, p.Apply(fmt.Sprintf("fc%d", i+1), nn.Linear{Out: out}, x))
	}
	return p.Apply(fmt.Sprintf("fc%d", len(m.Hidden)+1), nn.Linear{Out: m.Classes}, x)
}
