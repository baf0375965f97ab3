package sdk

import (
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"

	"github.com/compressaware/cram/sdk/array"
)

// normalized is a model with (x − mean)/std in front of it, for each channel of x [N C …]. The
// programs of the network then take raw values, so a service cannot forget the normalization.
type normalized struct {
	nn.Model
	mean, std []float32
}

func (m normalized) Forward(p *nn.Pass, x graph.Node) graph.Node {
	if len(m.mean) == 0 && len(m.std) == 0 {
		return m.Model.Forward(p, x)
	}
	if s := p.Shape(x); len(s) < 2 || s[1].C != len(m.mean) || len(m.mean) != len(m.std) {
		p.Fail("normalization: want a mean and a standard deviation for each channel of the input %v, got %d and %d",
			s, len(m.mean), len(m.std))
		return x
	}
	channels := func(values []float32) graph.Node {
		shape := graph.Of(1)
		for range len(p.Shape(x)) - 2 {
			shape = append(shape, graph.Dim{C: 1})
		}
		parts := make([]graph.Node, len(values))
		for i, v := range values {
			parts[i] = p.Const(array.F32, float64(v), shape)
		}
		return p.Concat(0, parts...)
	}
	return m.Model.Forward(p, p.Div(p.Sub(x, channels(m.mean)), channels(m.std)))
}
