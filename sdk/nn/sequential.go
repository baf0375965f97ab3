package nn

import (
	"strconv"

	"github.com/compressaware/cram/sdk/graph"
)

// Sequential applies models one after the other. Their parameters are in the scopes "0", "1" and so
// on, as in PyTorch's nn.Sequential.
type Sequential []Model

// Forward returns the output of the last model.
func (s Sequential) Forward(p *Pass, x graph.Node) graph.Node {
	for i, m := range s {
		x = p.Apply(strconv.Itoa(i), m, x)
	}
	return x
}
