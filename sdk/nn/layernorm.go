package nn

import "github.com/compressaware/cram/sdk/graph"

// LayerNorm normalizes x […, D] over its last axis, then scales and shifts it. The variance is the
// biased one.
//
//	y = weight·(x-mean)/√(variance+Eps) + bias
//
// Parameters: weight, bias [D].
//
// Reference: https://arxiv.org/abs/1607.06450.
type LayerNorm struct {
	// Eps is added to the variance, at most 1; 0 means 1e-5.
	Eps float64
}

// Forward returns y, with the shape of x.
func (n LayerNorm) Forward(p *Pass, x graph.Node) graph.Node {
	const layer = "LayerNorm"
	eps := or(n.Eps, 1e-5)
	p.within(layer, "Eps", eps, 0, 1)
	d := p.size(layer, x, 0, -1)
	gamma := p.Param("weight", graph.Norm, Constant(1), d)
	beta := p.Param("bias", graph.Norm, Constant(0), d)
	return p.LayerNorm(x, gamma, beta, eps)
}
