package nn

import "github.com/compressaware/cram/sdk/graph"

// Dropout sets each element to zero with probability P in [Train] mode and multiplies the others by
// 1/(1-P), so that the mean does not change. In [Infer] mode it returns its input.
//
// The choice of elements depends only on Key of the [Pass] and on the order of the model's
// Dropouts.
//
// Reference: https://jmlr.org/papers/v15/srivastava14a.html.
type Dropout struct {
	// P is the probability, at least 0 and below 1. 0 turns the layer off.
	P float64
}

// Forward returns x after dropout, with the shape of x.
func (d Dropout) Forward(p *Pass, x graph.Node) graph.Node {
	const layer = "Dropout"
	switch {
	case !(d.P >= 0 && d.P < 1):
		p.mistake(layer, "want P of 0 or more and below 1, got %g", d.P)
		return x
	case p.Mode == Infer || d.P == 0:
		return x
	case p.Key.None():
		p.mistake(layer, "want Pass.Key of seed and step, got none")
		return x
	}
	t := p.Type(x)
	u := p.Uniform(p.Key, p.stream(), t.DType, t.Shape)
	return p.Scale(p.Mask(x, p.Less(u, p.ConstLike(u, 1-d.P))), 1/(1-d.P))
}
