package optim

import (
	"fmt"
	"math"

	"github.com/compressaware/cram/sdk/graph"
)

// Adam is Kingma and Ba's rule (ICLR 2015), as PyTorch defines it, with WeightDecay as an L2 penalty in the gradient:
//
//	g ← g + WeightDecay·θ
//	m ← β₁·m + (1-β₁)·g       v ← β₂·v + (1-β₂)·g²
//	θ ← θ - lr·m/(1-β₁ᵗ) / (√(v/(1-β₂ᵗ)) + Eps)
//
// Beta1, Beta2 and Eps of 0 mean 0.9, 0.999 and 1e-8.
type Adam struct{ Beta1, Beta2, Eps, WeightDecay float64 }

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019): θ shrinks by lr·WeightDecay before Adam's step.
// Beta1, Beta2 and Eps of 0 mean 0.9, 0.999 and 1e-8.
type AdamW struct{ Beta1, Beta2, Eps, WeightDecay float64 }

func (a Adam) String() string {
	a = a.defaults()
	return fmt.Sprintf("adam(beta1=%g beta2=%g eps=%g weight_decay=%g)", a.Beta1, a.Beta2, a.Eps, a.WeightDecay)
}

func (a AdamW) String() string {
	d := Adam(a).defaults()
	return fmt.Sprintf("adamw(beta1=%g beta2=%g eps=%g weight_decay=%g)", d.Beta1, d.Beta2, d.Eps, d.WeightDecay)
}

func (a Adam) defaults() Adam {
	if a.Beta1 == 0 {
		a.Beta1 = 0.9
	}
	if a.Beta2 == 0 {
		a.Beta2 = 0.999
	}
	if a.Eps == 0 {
		a.Eps = 1e-8
	}
	return a
}

// Update returns the next weights.
func (a Adam) Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node {
	a = a.defaults()
	next := make([]graph.Node, len(w))
	for i, p := range w {
		step := a.step(b, "adam", p.Name, p.W, decay(b, g[i], p.W, a.WeightDecay), t)
		next[i] = descend(b, p.W, step, t.LR)
	}
	return next
}

// Update returns the next weights.
func (a AdamW) Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node {
	d := Adam(a).defaults()
	next := make([]graph.Node, len(w))
	for i, p := range w {
		shrunk := p.W
		if a.WeightDecay != 0 {
			shrunk = descend(b, p.W, b.Scale(p.W, a.WeightDecay), t.LR)
		}
		next[i] = descend(b, shrunk, d.step(b, "adamw", p.Name, p.W, g[i], t), t.LR)
	}
	return next
}

// step returns m/(1-β₁ᵗ) / (√(v/(1-β₂ᵗ)) + ε) and updates the two moments.
func (a Adam) step(b *graph.Builder, rule, name string, w, g graph.Node, t Clock) graph.Node {
	average := func(kind string, x graph.Node, beta float64) graph.Node {
		slot := rule + "." + kind + "/" + name
		old := b.Slot(graph.Slot{Name: slot, Kind: graph.OptimizerState, Type: b.Type(w)})
		avg := b.Add(b.Scale(old, beta), b.Scale(x, 1-beta))
		b.Update(slot, avg)
		// 1 - βᵗ = -expm1(t·ln β), without the cancellation that float32 would suffer at small t.
		return b.Div(avg, b.Neg(b.Expm1(b.Scale(t.Step, math.Log(beta)))))
	}
	m := average("m", g, a.Beta1)
	v := average("v", b.Mul(g, g), a.Beta2)
	return b.Div(m, b.Shift(b.Sqrt(v), a.Eps))
}
