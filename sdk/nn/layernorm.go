package nn

import "github.com/compressaware/cram/sdk/graph"

// LayerNorm normalises x […, D] over its last axis and scales and shifts the result:
// y = weight·(x-mean)/√(variance+Eps) + bias, with the biased variance.
//
// Parameters: weight, bias [D].
type LayerNorm struct {
	Eps float64 // 0: 1e-5
}

// Forward is the layer.
func (n LayerNorm) Forward(p *Pass, x graph.Node) graph.Node {
	const layer = "LayerNorm"
	eps := or(n.Eps, 1e-5)
	p.within(layer, "Eps", eps, 0, 1)
	d := p.extent(layer, x, 0, -1)
	gamma := p.Param("weight", graph.Norm, Constant(1), d)
	beta := p.Param("bias", graph.Norm, Constant(0), d)
	return p.LayerNorm(x, gamma, beta, eps)
}
