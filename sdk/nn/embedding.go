package nn

import (
	"github.com/compressaware/cram/sdk/graph"

	"github.com/compressaware/cram/sdk/array"
)

// Embedding looks up rows of a table by the indices x […] (I32), giving […, Dim]. An index outside [0, Rows) is an error
// at run time.
//
// Parameters: weight [Rows Dim].
type Embedding struct {
	Rows, Dim int

	Init Init // nil: Normal(1)
}

// Forward is the layer.
func (e Embedding) Forward(p *Pass, x graph.Node) graph.Node {
	const layer = "Embedding"
	if t := p.Type(x); p.Err() == nil && t.DType != array.I32 {
		p.mistake(layer, "want i32 indices, got %v", t)
	}
	if !p.positive(layer, "Rows", e.Rows) || !p.positive(layer, "Dim", e.Dim) {
		return x
	}
	init := e.Init
	if init == nil {
		init = Normal(1)
	}
	return p.Gather(p.Param("weight", graph.Embedding, init, e.Rows, e.Dim), x)
}
