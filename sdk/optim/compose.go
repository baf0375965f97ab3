package optim

import (
	"fmt"
	"strings"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// Clip scales the gradient, before Rule sees it, so that its norm over all parameters together is at most MaxNorm:
// g·min(1, MaxNorm/(‖g‖₂ + 1e-6)), as PyTorch's clip_grad_norm_. With an estimator of several points it clips the mixed gradient.
type Clip struct {
	MaxNorm   float64
	Optimizer Optimizer
}

func (c Clip) String() string { return fmt.Sprintf("clip(%g, %v)", c.MaxNorm, c.Optimizer) }

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

// A Group is a rule for the parameters that Match accepts.
type Group struct {
	Name      string
	Match     func(compress.Meta) bool
	Optimizer Optimizer
}

// Groups treats parameters differently: each goes to the first group that matches, and one that none matches is an
// error of the step. What PyTorch calls parameter groups; the usual use is weight decay on kernels alone:
//
//	optim.Groups{
//		{"kernels", optim.Kernels, optim.AdamW{WeightDecay: 0.01}},
//		{"rest", optim.All, optim.AdamW{}},
//	}
type Groups []Group

// Kernels matches weights of convolutions, linear layers and embeddings.
func Kernels(m compress.Meta) bool { return m.Prunable() }

// All matches every parameter.
func All(compress.Meta) bool { return true }

func (gs Groups) String() string {
	parts := make([]string, len(gs))
	for i, g := range gs {
		parts[i] = fmt.Sprintf("%s: %v", g.Name, g.Optimizer)
	}
	return "groups(" + strings.Join(parts, "; ") + ")"
}

// Update returns the next weights.
func (gs Groups) Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node {
	next := make([]graph.Node, len(w))
	member := make([][]int, len(gs))
	for i, p := range w {
		k := 0
		for k < len(gs) && !gs[k].Match(p.Meta) {
			k++
		}
		if k == len(gs) {
			b.Fail("optim: parameter %q matches no group of %v; end with a group that matches optim.All", p.Name, gs)
			return append([]graph.Node(nil), g...)
		}
		member[k] = append(member[k], i)
	}
	for k, ids := range member {
		if len(ids) == 0 {
			continue
		}
		var ws Weights
		var grads Grads
		for _, i := range ids {
			ws, grads = append(ws, w[i]), append(grads, g[i])
		}
		for j, n := range gs[k].Optimizer.Update(b, ws, grads, t) {
			next[ids[j]] = n
		}
	}
	return next
}
