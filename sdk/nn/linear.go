package nn

import "github.com/compressaware/cram/sdk/graph"

// Linear is a fully connected layer: it maps the last axis of x […, D] to y […, Out].
//
//	y = x·weightᵀ + bias
//
// Parameters: weight [Out D] and, unless NoBias is set, bias [Out].
type Linear struct {
	// Out is the number of outputs, at least 1.
	Out int
	// NoBias omits the bias.
	NoBias bool

	// Init initializes weight; nil means KaimingUniform.
	Init Init
	// BiasInit initializes bias; nil means uniform in ±1/√D, as in PyTorch.
	BiasInit Init
}

// Forward returns y.
func (l Linear) Forward(p *Pass, x graph.Node) graph.Node {
	const layer = "Linear"
	in := p.size(layer, x, 0, -1)
	if !p.positive(layer, "Out", l.Out) {
		return x
	}
	w := p.Param("weight", graph.Kernel, weightInit(l.Init), l.Out, in)
	s := p.Shape(x)
	y := x
	if len(s) != 2 {
		y = p.Reshape(x, graph.Shape{{}, {C: in}})
	}
	y = p.MatMul(y, w, false, true)
	if !l.NoBias {
		y = p.Add(y, p.Param("bias", graph.Bias, biasInit(l.BiasInit, in), l.Out))
	}
	if len(s) != 2 && p.Err() == nil {
		y = p.Reshape(y, append(s[:len(s)-1:len(s)-1], graph.Dim{C: l.Out}))
	}
	return y
}
