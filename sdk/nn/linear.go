package nn

import "github.com/compressaware/cram/sdk/graph"

// Linear maps the last axis of x […, D] to y […, Out]: y = x·weightᵀ + bias.
//
// Parameters: weight [Out D] and, unless NoBias, bias [Out].
type Linear struct {
	Out    int
	NoBias bool

	Init     Init // of weight; nil: KaimingUniform
	BiasInit Init // nil: uniform in ±1/√D
}

// Forward is the layer.
func (l Linear) Forward(p *Pass, x graph.Node) graph.Node {
	const layer = "Linear"
	in := p.extent(layer, x, 0, -1)
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
