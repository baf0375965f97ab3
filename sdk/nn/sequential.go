package nn

import (
	"strconv"

	"github.com/compressaware/cram/sdk/graph"
)

// Sequential applies models one after another, in scopes "0", "1", …
type Sequential []Model

// Forward is the chain.
func (s Sequential) Forward(p *Pass, x graph.Node) graph.Node {
	for i, m := range s {
		x = p.Apply(strconv.Itoa(i), m, x)
	}
	return x
}
