package optim

import (
	"fmt"
	"math"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// Adam is gradient descent scaled by running moments of the gradient, as PyTorch defines it. Its
// weight decay is an L2 penalty in the gradient.
//
//	g ← g + WeightDecay·θ
//	m ← Beta1·m + (1-Beta1)·g       v ← Beta2·v + (1-Beta2)·g²
//	θ ← θ - lr·m/(1-Beta1ᵗ) / (√(v/(1-Beta2ᵗ)) + Eps)
//
// Reference: https://arxiv.org/abs/1412.6980.
type Adam struct {
	// Beta1 is the decay of the first moment, between 0 and 1; 0 means 0.9.
	Beta1 float64
	// Beta2 is the decay of the second moment, between 0 and 1; 0 means 0.999.
	Beta2 float64
	// Eps is added to the denominator, above 0; 0 means 1e-8.
	Eps float64
	// WeightDecay is the factor of the L2 penalty, at least 0. 0 turns it off.
	WeightDecay float64
}

// AdamW is Adam with decoupled weight decay: the weights shrink by a factor before the step.
//
//	θ ← θ - lr·WeightDecay·θ
//	m ← Beta1·m + (1-Beta1)·g       v ← Beta2·v + (1-Beta2)·g²
//	θ ← θ - lr·m/(1-Beta1ᵗ) / (√(v/(1-Beta2ᵗ)) + Eps)
//
// Reference: https://arxiv.org/abs/1711.05101.
type AdamW struct {
	// Beta1 is the decay of the first moment, between 0 and 1; 0 means 0.9.
	Beta1 float64
	// Beta2 is the decay of the second moment, between 0 and 1; 0 means 0.999.
	Beta2 float64
	// Eps is added to the denominator, above 0; 0 means 1e-8.
	Eps float64
	// WeightDecay is the factor by which lr·WeightDecay shrinks the weights, at least 0. 0 turns it
	// off.
	WeightDecay float64
}

// String returns the settings with their defaults filled in.
func (a Adam) String() string { return a.describe("adam") }

// String returns the settings with their defaults filled in.
func (a AdamW) String() string { return Adam(a).describe("adamw") }

func (a Adam) describe(name string) string {
	a = a.defaults()
	return fmt.Sprintf("%s(beta1=%g beta2=%g eps=%g weight_decay=%g)", name, a.Beta1, a.Beta2, a.Eps, a.WeightDecay)
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

// Check returns an error if a setting is out of range.
func (a Adam) Check() error { return a.check(a) }

// Check returns an error if a setting is out of range.
func (a AdamW) Check() error { return Adam(a).check(a) }

func (a Adam) check(of fmt.Stringer) error {
	a = a.defaults()
	f := faults{of: of}
	f.require(a.Beta1 > 0 && a.Beta1 < 1, "Beta1 is %g, want between 0 and 1", a.Beta1)
	f.require(a.Beta2 > 0 && a.Beta2 < 1, "Beta2 is %g, want between 0 and 1", a.Beta2)
	f.require(positive(a.Eps), "Eps is %g, want above 0", a.Eps)
	f.require(atLeastZero(a.WeightDecay), "WeightDecay is %g, want 0 or more", a.WeightDecay)
	return f.err()
}

// Update returns the next weights.
func (a Adam) Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node {
	a = a.defaults()
	next := make([]graph.Node, len(w))
	for i, p := range w {
		step := a.step(b, "adam", p, decay(b, g[i], p.W, a.WeightDecay), t)
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
		next[i] = descend(b, shrunk, d.step(b, "adamw", p, g[i], t), t.LR)
	}
	return next
}

// step returns m/(1-Beta1ᵗ) / (√(v/(1-Beta2ᵗ)) + Eps) and updates m and v.
func (a Adam) step(b *graph.Builder, optimizer string, w compress.WeightNode, g graph.Node, t Clock) graph.Node {
	average := func(moment string, x graph.Node, beta float64) graph.Node {
		slot, old := state(b, optimizer+"."+moment, w)
		avg := b.Add(b.Scale(old, beta), b.Scale(x, 1-beta))
		b.Update(slot, avg)
		// 1 - βᵗ = -expm1(t·ln β), without the cancellation of float32 at small t.
		return b.Div(avg, b.Neg(b.Expm1(b.Scale(t.Step, math.Log(beta)))))
	}
	m := average("m", g, a.Beta1)
	v := average("v", b.Mul(g, g), a.Beta2)
	return b.Div(m, b.Shift(b.Sqrt(v), a.Eps))
}
