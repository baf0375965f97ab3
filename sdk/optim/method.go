package optim

import (
	"fmt"
	"math"
	"strings"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// Weights are the trained parameters of a step, in the order of the model's forward pass.
type Weights []compress.WeightNode

// Grads are the gradients of Weights, in the same order.
type Grads []graph.Node

// An Method says where the gradient of the loss is taken and how the gradients are mixed:
// Σ_i Mix[i]·∇L(Points[i]), every gradient on the same batch.
//
// It is data, not a function, so that a trainer can cut a step at a point: around a compressor that runs outside the
// graph, or to accumulate.
type Method struct {
	Name   string
	Points []Point
	Mix    []float64
}

// A Point is one place where the gradient is taken: the weights, moved, then compressed.
type Point struct {
	// Move goes from the weights to the point, given the gradients taken at the points before; nil stays.
	Move Move
	// Compress is the set C is drawn from, uniformly, once a step; empty is C = identity.
	Compress []compress.Compressor
	// Refresh is how often the masks of each member of the set are recomputed: at every Refresh-th use of it; in between
	// they are reused (paper §1, infrequent masks). 0 means 1: at every use.
	Refresh int
	// DenseGradient turns off the masking of this point's gradient by the mask of C (paper §1, sparse gradients).
	DenseGradient bool
}

// A Move computes a point, all of the weights in order, from the weights and the gradients at earlier points.
type Move interface {
	fmt.Stringer
	Apply(b *graph.Builder, w Weights, earlier []Grads) Weights
}

// Plain takes one gradient at the weights: what every ordinary optimizer does.
func Plain() Method {
	return Method{Name: "plain", Points: []Point{{}}, Mix: []float64{1}}
}

// SAM takes the gradient at θ + ρ·g/‖g‖₂ (Foret et al., ICLR 2021), the norm over all parameters together.
func SAM(rho float64) Method {
	return Method{Name: "sam", Points: []Point{{}, {Move: Ascend{Rho: rho, Normalize: true}}}, Mix: []float64{0, 1}}
}

// CrAM takes the gradient at C(θ + ρ·g), C drawn from cs each step (paper §1).
func CrAM(rho float64, cs ...compress.Compressor) Method {
	return Method{Name: "cram", Points: []Point{{}, {Move: Ascend{Rho: rho}, Compress: cs}}, Mix: []float64{0, 1}}
}

// CrAMPlus adds the gradient at θ to the one at C(θ + ρ·g): a sum, not a mean (paper §1). More than one compressor makes
// it CrAM+-Multi. ρ = 0 is the control that mixes the dense and the compressed loss without ascent. The paper's ρ is 0.2 for
// CIFAR-10 (0.15 when levels go up to 0.95) and 0.05 for ImageNet (§4).
func CrAMPlus(rho float64, cs ...compress.Compressor) Method {
	return Method{Name: "cram+", Points: []Point{{}, {Move: Ascend{Rho: rho}, Compress: cs}}, Mix: []float64{1, 1}}
}

// Ascend moves every parameter, biases and norm parameters too, by ρ times the first point's gradient;
// Normalize divides that gradient by its norm over all parameters, plus 1e-12.
type Ascend struct {
	Rho       float64
	Normalize bool
}

func (a Ascend) String() string {
	if a.Normalize {
		return fmt.Sprintf("θ+%g·g/‖g‖", a.Rho)
	}
	return fmt.Sprintf("θ+%g·g", a.Rho)
}

// Apply returns θ + ρ·g.
func (a Ascend) Apply(b *graph.Builder, w Weights, earlier []Grads) Weights {
	if a.Rho == 0 {
		return w
	}
	g := earlier[0]
	step := func(g graph.Node) graph.Node { return b.Scale(g, a.Rho) }
	if a.Normalize {
		rho := b.Div(b.Const(b.Type(g[0]).DType, a.Rho, nil), b.Shift(b.Norm(g...), 1e-12))
		step = func(g graph.Node) graph.Node { return b.Mul(g, rho) }
	}
	moved := append(Weights(nil), w...)
	for i := range moved {
		moved[i].W = b.Add(w[i].W, step(g[i]))
	}
	return moved
}

// Combine returns the mixed gradient Σ_i Mix[i]·g[i].
func (e Method) Combine(b *graph.Builder, g []Grads) Grads {
	var out Grads
	for i, c := range e.Mix {
		if c == 0 {
			continue
		}
		term := append(Grads(nil), g[i]...)
		for j := range term {
			if c != 1 {
				term[j] = b.Scale(term[j], c)
			}
			if out != nil {
				term[j] = b.Add(out[j], term[j])
			}
		}
		out = term
	}
	return out
}

// Check returns an error unless the estimator can be run and all that it holds is in range: [compress.CheckCompressor] says it of
// compressors, and a Move of one's own takes part by a method Check() error.
func (e Method) Check() error {
	if len(e.Points) == 0 || len(e.Mix) != len(e.Points) {
		return fmt.Errorf("optim: estimator %q has %d points and %d mixing weights; want one weight a point", e.Name, len(e.Points), len(e.Mix))
	}
	if p := e.Points[0]; p.Move != nil {
		return fmt.Errorf("optim: estimator %q: the first point moves (%v) before any gradient is known", e.Name, p.Move)
	}
	mixed := false
	for i, p := range e.Points {
		mixed = mixed || e.Mix[i] != 0
		if m := e.Mix[i]; math.IsNaN(m) || math.IsInf(m, 0) {
			return fmt.Errorf("optim: estimator %q: the mixing weight of point %d is %g, want a finite number", e.Name, i, m)
		}
		if m, ok := p.Move.(interface{ Check() error }); ok {
			if err := m.Check(); err != nil {
				return fmt.Errorf("optim: estimator %q: point %d: %w", e.Name, i, within{err})
			}
		}
		if p.Refresh < 0 {
			return fmt.Errorf("optim: estimator %q: refresh is %d, must be 0 or more", e.Name, p.Refresh)
		}
		for _, c := range p.Compress {
			if err := compress.CheckCompressor(c); err != nil {
				return fmt.Errorf("optim: estimator %q: point %d: %w", e.Name, i, err)
			}
		}
	}
	if !mixed {
		return fmt.Errorf("optim: estimator %q mixes no gradient: all weights are 0", e.Name)
	}
	return nil
}

// String describes the estimator on one line, for provenance: "cram+ 1·∇(θ) + 1·∇(C(θ+0.2·g)) C∈{topk:0.5, topk:0.9}".
func (e Method) String() string {
	var terms []string
	for i, p := range e.Points {
		at := "θ"
		if p.Move != nil {
			at = fmt.Sprint(p.Move)
		}
		set := ""
		if len(p.Compress) > 0 {
			at = "C(" + at + ")"
			names := make([]string, len(p.Compress))
			for j, c := range p.Compress {
				names[j] = fmt.Sprint(c)
			}
			set = " C∈{" + strings.Join(names, ", ") + "}"
			if p.Refresh > 1 {
				set += fmt.Sprintf(" refresh %d", p.Refresh)
			}
			if p.DenseGradient {
				set += " dense gradient"
			}
		}
		terms = append(terms, fmt.Sprintf("%g·∇(%s)%s", e.Mix[i], at, set))
	}
	return e.Name + " " + strings.Join(terms, " + ")
}
