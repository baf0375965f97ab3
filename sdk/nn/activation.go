package nn

import (
	"math"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// ReLU returns max(x, 0).
func ReLU(p *Pass, x graph.Node) graph.Node { return p.Relu(x) }

// ReLU6 returns min(max(x, 0), 6).
func ReLU6(p *Pass, x graph.Node) graph.Node {
	return p.Min(p.Relu(x), p.Const(array.F32, 6, graph.Of()))
}

// GELU returns x·Φ(x). Φ is the cumulative distribution function of the standard normal
// distribution, computed by the error function.
//
// Reference: https://arxiv.org/abs/1606.08415.
func GELU(p *Pass, x graph.Node) graph.Node {
	phi := p.Scale(p.Shift(p.Erf(p.Scale(x, math.Sqrt2/2)), 1), 0.5)
	return p.Mul(x, phi)
}

// Sigmoid returns 1/(1+e⁻ˣ).
func Sigmoid(p *Pass, x graph.Node) graph.Node { return p.Sigmoid(x) }

// Tanh returns tanh x.
func Tanh(p *Pass, x graph.Node) graph.Node { return p.Tanh(x) }
