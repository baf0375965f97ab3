package nn

import "github.com/compressaware/cram/sdk/graph"

// Dropout zeroes each element with probability P in [Train] mode and scales the others by 1/(1-P), so that the mean
// stays; in [Infer] mode it does nothing. What is dropped is a function of the pass's Key and of the order of the model's
// Dropouts alone.
type Dropout struct {
	P float64 // at least 0, less than 1
}

// Forward is the layer.
func (d Dropout) Forward(p *Pass, x graph.Node) graph.Node {
	const layer = "Dropout"
	switch {
	case !(d.P >= 0 && d.P < 1):
		p.mistake(layer, "P is %g, must be in [0, 1)", d.P)
		return x
	case p.Mode == Infer || d.P == 0:
		return x
	case p.Key.None():
		p.mistake(layer, "the pass has no Key to draw from; set Pass.Key to (seed, step)")
		return x
	}
	t := p.Type(x)
	u := p.Uniform(p.Key, p.stream(), t.DType, t.Shape)
	return p.Scale(p.Mask(x, p.Less(u, p.ConstLike(u, 1-d.P))), 1/(1-d.P))
}
