package nn

import (
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Embedding returns the rows of a table at the indices x […], a tensor of type i32.
//
//	y […, Dim] = weight[x]
//
// Parameters: weight [Rows Dim].
type Embedding struct {
	// Rows is the number of rows of the table, at least 1. An index outside [0, Rows) is an error
	// of the run.
	Rows int
	// Dim is the number of features in a row, at least 1.
	Dim int

	// Init initializes weight; nil means Normal(1), as in PyTorch.
	Init Init
}

// Forward returns y.
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
