package optim

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
)

// Clip limits the norm of the gradient before another optimizer uses it, as PyTorch's
// clip_grad_norm_ does. The norm is taken over all parameters together.
//
//	g ← g·min(1, MaxNorm/(‖g‖₂ + 1e-6))
//
// With a method of several points it clips the mixed gradient.
//
// Reference: https://arxiv.org/abs/1211.5063.
type Clip struct {
	// MaxNorm is the largest norm, above 0. There is no default.
	MaxNorm float64
	// Optimizer computes the next weights from the clipped gradient. It is required.
	Optimizer Optimizer
}

// String returns the settings, for example "clip(1, sgd(…))".
func (c Clip) String() string { return fmt.Sprintf("clip(%g, %v)", c.MaxNorm, c.Optimizer) }

// Check returns an error if a setting is out of range, those of Optimizer included.
func (c Clip) Check() error {
	f := faults{of: c}
	f.require(positive(c.MaxNorm), "MaxNorm is %g, want above 0", c.MaxNorm)
	f.add(checkOptimizer(c.Optimizer))
	return f.err()
}

// Update returns the next weights.
func (c Clip) Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node {
	if len(g) == 0 {
		return nil
	}
	d := b.Type(g[0]).DType
	limit := b.Div(b.Const(d, c.MaxNorm, nil), b.Shift(b.Norm(g...), 1e-6))
	scale := b.Min(limit, b.Const(d, 1, nil))
	clipped := make(Grads, len(g))
	for i := range g {
		clipped[i] = b.Mul(g[i], scale)
	}
	return c.Optimizer.Update(b, w, clipped, t)
}
