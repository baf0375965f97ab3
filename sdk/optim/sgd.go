package optim

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
)

// SGD is stochastic gradient descent with momentum, as PyTorch defines it.
//
//	g ← g + WeightDecay·θ
//	v ← Momentum·v + g
//	θ ← θ - lr·v            with Nesterov: θ - lr·(g + Momentum·v)
//
// The zero value is gradient descent without momentum. The usual settings for image networks are
// Momentum 0.9 and WeightDecay 1e-4 to 5e-4.
//
// Reference: https://proceedings.mlr.press/v28/sutskever13.html.
type SGD struct {
	// Momentum is the factor of the previous velocity v, at least 0 and below 1. 0 turns it off.
	Momentum float64
	// WeightDecay is the factor of the L2 penalty, at least 0. 0 turns it off.
	WeightDecay float64
	// Nesterov evaluates the momentum one step ahead. It needs a Momentum above 0.
	Nesterov bool
}

// String returns the settings, for example "sgd(momentum=0.9 weight_decay=0 nesterov=false)".
func (s SGD) String() string {
	return fmt.Sprintf("sgd(momentum=%g weight_decay=%g nesterov=%v)", s.Momentum, s.WeightDecay, s.Nesterov)
}

// Check returns an error if a setting is out of range.
func (s SGD) Check() error {
	f := faults{of: s}
	f.require(s.Momentum >= 0 && s.Momentum < 1, "Momentum is %g, want 0 or more and below 1", s.Momentum)
	f.require(atLeastZero(s.WeightDecay), "WeightDecay is %g, want 0 or more", s.WeightDecay)
	f.require(!s.Nesterov || s.Momentum != 0, "Nesterov is set without Momentum; set Momentum, for example to 0.9")
	return f.err()
}

// Update returns the next weights.
func (s SGD) Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node {
	next := make([]graph.Node, len(w))
	for i, p := range w {
		d := decay(b, g[i], p.W, s.WeightDecay)
		if s.Momentum != 0 {
			slot, v := state(b, "sgd.momentum", p)
			v = b.Add(b.Scale(v, s.Momentum), d)
			b.Update(slot, v)
			if s.Nesterov {
				d = b.Add(d, b.Scale(v, s.Momentum))
			} else {
				d = v
			}
		}
		next[i] = descend(b, p.W, d, t.LR)
	}
	return next
}
