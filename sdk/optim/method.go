package optim

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// A Method defines the gradient of a training step: a weighted sum of gradients of the loss at
// several points, all on the same batch.
//
//	g = Σᵢ Mix[i]·∇L(Points[i])
//
// A Method is data and not a function, so that the trainer can split a step at a point: around a
// compressor that runs on the host, or to accumulate gradients.
type Method struct {
	// Name is a short name for errors and for the training's recipe.
	Name string
	// Points are the points at which a step computes gradients, in this order. At least one is
	// required.
	Points []Point
	// Mix holds the factor of each point's gradient. It has the length of Points.
	Mix []float64
}

// A Point is a set of weights at which a step computes a gradient: the weights of the step, moved,
// then compressed.
type Point struct {
	// Move maps the weights of the step to the point, given the gradients at the earlier points.
	// Nil leaves the weights where they are.
	Move Move
	// Compress is the set from which each step draws one compressor, all with equal probability. An
	// empty set means no compression.
	Compress []compress.Compressor
	// Refresh is the interval at which the masks of each compressor are computed again, in uses of
	// this compressor; in between, its last masks are reused. 0 means 1: at every use. Larger
	// values save the time of the ranking and train with slightly older masks.
	Refresh int
	// Loss is the loss of this gradient. It may compare with the output of the first point, the
	// field Clean of [nn.Pass]. Nil: the loss of the training.
	Loss nn.Loss
	// DenseGradient computes the gradient for all weights. By default the gradient at a compressed
	// point is multiplied by the mask of the compressor.
	DenseGradient bool
}

// A Move computes a point from the weights of the step and the gradients at earlier points.
type Move interface {
	// String returns the formula, for example "θ+0.2·g".
	fmt.Stringer

	// Apply appends the computation to b and returns all weights in the order of w. earlier holds
	// the gradients of the points before this one.
	Apply(b *graph.Builder, w Weights, earlier []Grads) Weights
}

// Plain returns the method of ordinary training: one gradient, at the weights.
//
//	g = ∇L(θ)
func Plain() Method {
	return Method{Name: "plain", Points: []Point{{}}, Mix: []float64{1}}
}

// SAM returns sharpness-aware minimization: the gradient at the point of highest loss near the
// weights, by one normalized ascent step. ‖·‖₂ is the norm over all parameters together.
//
//	g₀ = ∇L(θ)
//	g = ∇L(θ + ρ·g₀/‖g₀‖₂)
//
// rho is the length ρ of the ascent, at least 0; the authors of SAM use 0.05 for CIFAR-10 and
// ImageNet. A step costs two gradients.
//
// Reference: https://arxiv.org/abs/2010.01412.
func SAM(rho float64) Method {
	return Method{Name: "sam", Points: []Point{{}, {Move: Ascend{Rho: rho, Normalize: true}}}, Mix: []float64{0, 1}}
}

// CrAM returns the compression-aware minimizer: the gradient at compressed weights after an ascent
// step. The trained weights keep their accuracy under one-shot pruning by the compressors cs.
//
//	g₀ = ∇L(θ)
//	g = ∇L(C(θ + ρ·g₀)),   C drawn from cs in each step
//
// rho is the factor ρ of the ascent, at least 0; [CrAMPlus] describes its choice, and that of cs.
// The gradient is multiplied by the mask of C (field DenseGradient of [Point]). Without compressors
// C is the identity. A step costs two gradients.
//
// The accuracy of the dense weights is not part of the objective. [CrAMPlus] includes it and is the
// better default.
//
// Reference: https://arxiv.org/abs/2207.14200.
func CrAM(rho float64, cs ...compress.Compressor) Method {
	return Method{Name: "cram", Points: []Point{{}, {Move: Ascend{Rho: rho}, Compress: cs}}, Mix: []float64{0, 1}}
}

// CrAMPlus returns CrAM+, the method to begin with: [CrAM] plus the gradient at the weights, so
// that the dense weights become accurate, too. With several compressors the paper calls it
// CrAM+-Multi.
//
//	g₀ = ∇L(θ)
//	g = g₀ + ∇L(C(θ + ρ·g₀)),   C drawn from cs in each step
//
// It is a sum and not a mean, as in the paper. A step costs two gradients.
//
// rho is the factor ρ of the ascent, at least 0. It is not normalized. The paper uses 0.2 for
// CIFAR-10, 0.15 there with levels up to 95 %, and 0.05 for ImageNet. ρ = 0 mixes the gradients of
// the dense and the compressed loss without an ascent; compare with it before you choose. In the
// short trainings of docs/results.md ρ = 0.2 is more accurate than 0 at 95 %, and about a point
// less accurate up to 90 %.
//
// cs are the compressors that the network is later pruned with. Give all levels that you want to
// serve, the sparsest included. A step trains one of them, so each further level has fewer steps.
// The paper uses TopK of 0.5, 0.7 and 0.9 for ImageNet, 0.3 to 0.9 in steps of 0.1 for CIFAR-10,
// and NM of 2:4 and 4:8 together for N:M.
//
// Masks are computed at every use of a compressor. To reuse them, set the field Refresh of
// Points[1]; see [Point].
//
// Reference: https://arxiv.org/abs/2207.14200.
func CrAMPlus(rho float64, cs ...compress.Compressor) Method {
	return Method{Name: "cram+", Points: []Point{{}, {Move: Ascend{Rho: rho}, Compress: cs}}, Mix: []float64{1, 1}}
}

// Ascend moves every parameter, biases and normalization parameters included, along the gradient g₀
// of the first point. ‖·‖₂ is the norm over all parameters together.
//
//	θ + Rho·g₀      with Normalize: θ + Rho·g₀/(‖g₀‖₂ + 1e-12)
type Ascend struct {
	// Rho is the factor of the gradient, at least 0. 0 does not move.
	Rho float64
	// Normalize divides the gradient by its norm.
	Normalize bool
}

// String returns the formula, for example "θ+0.2·g".
func (a Ascend) String() string {
	if a.Normalize {
		return fmt.Sprintf("θ+%g·g/‖g‖", a.Rho)
	}
	return fmt.Sprintf("θ+%g·g", a.Rho)
}

// Check returns an error if Rho is negative or not finite.
func (a Ascend) Check() error {
	f := faults{of: a}
	f.require(atLeastZero(a.Rho), "Rho is %g, want 0 or more", a.Rho)
	return f.err()
}

// Apply returns the moved weights.
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

// Combine appends the mixed gradient Σᵢ Mix[i]·g[i] to b and returns it.
func (m Method) Combine(b *graph.Builder, g []Grads) Grads {
	var out Grads
	for i, c := range m.Mix {
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

// Check returns an error if the points and factors do not fit together, or if the settings of a
// move or a compressor are out of range.
func (m Method) Check() error {
	if err := m.fault(); err != nil {
		return fmt.Errorf("optim: method %q: %w", m.Name, err)
	}
	return nil
}

func (m Method) fault() error {
	if len(m.Points) == 0 || len(m.Mix) != len(m.Points) {
		return fmt.Errorf("want a factor in Mix for each point, and at least one point, got %d factors and %d points", len(m.Mix), len(m.Points))
	}
	if p := m.Points[0]; p.Move != nil {
		return fmt.Errorf("the first point moves (%v), but there is no earlier gradient", p.Move)
	}
	mixed := false
	for i, p := range m.Points {
		c := m.Mix[i]
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return fmt.Errorf("want a finite Mix[%d], got %g", i, c)
		}
		mixed = mixed || c != 0
		if err := p.fault(); err != nil {
			return fmt.Errorf("point %d: %w", i, err)
		}
	}
	if !mixed {
		return errors.New("all factors in Mix are 0, want at least one other")
	}
	return nil
}

func (p Point) fault() error {
	if err := check(p.Move); err != nil {
		return err
	}
	if p.Refresh < 0 {
		return fmt.Errorf("want Refresh of 0 or more, got %d", p.Refresh)
	}
	for _, c := range p.Compress {
		if c == nil {
			return errors.New("a compressor is nil; give one, for example compress.TopK(0.9)")
		}
		if err := check(c); err != nil {
			if !strings.Contains(err.Error(), c.String()) {
				err = fmt.Errorf("%v: %w", c, err)
			}
			return err
		}
	}
	return nil
}

// String returns the formula on one line, for example "cram+ 1·∇(θ) + 1·∇(C(θ+0.2·g)) C∈{topk:0.5,
// topk:0.9}". A training resumes only from a checkpoint with the same text.
func (m Method) String() string {
	var terms []string
	for i, p := range m.Points {
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
		if p.Loss != nil {
			set += fmt.Sprintf(" loss %v", p.Loss)
		}
		terms = append(terms, fmt.Sprintf("%g·∇(%s)%s", m.Mix[i], at, set))
	}
	return m.Name + " " + strings.Join(terms, " + ")
}
