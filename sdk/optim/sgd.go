package optim

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
)

// SGD is stochastic gradient descent with momentum, as PyTorch defines it:
//
//	g ← g + WeightDecay·θ
//	v ← Momentum·v + g
//	θ ← θ - lr·v            (Nesterov: lr·(g + Momentum·v))
//
// The zero value is plain gradient descent.
type SGD struct {
	Momentum    float64
	WeightDecay float64
	Nesterov    bool
}

func (s SGD) String() string {
	return fmt.Sprintf("sgd(momentum=%g weight_decay=%g nesterov=%v)", s.Momentum, s.WeightDecay, s.Nesterov)
}

// Update returns the next weights.
func (s SGD) Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node {
	next := make([]graph.Node, len(w))
	for i, p := range w {
		d := decay(b, g[i], p.W, s.WeightDecay)
		if s.Momentum != 0 {
			slot, v := moment(b, "sgd.momentum", p)
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
