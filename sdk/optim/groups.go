package optim

import (
	"fmt"
	"strings"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// A Group is an optimizer for some of the parameters.
type Group struct {
	// Name describes the group in errors and in the training's recipe.
	Name string
	// Match selects the parameters. Nil selects all of them; compress.Meta.Prunable selects the
	// weights of convolutions, linear layers and embeddings.
	Match func(compress.Meta) bool
	// Optimizer computes the next weights of these parameters. It is required.
	Optimizer Optimizer
}

// Groups applies different optimizers to different parameters. Each parameter belongs to the first
// group that matches it. A parameter that no group matches is an error of the step.
//
// The usual case is weight decay on kernels only:
//
//	optim.Groups{
//		{Name: "kernels", Match: compress.Meta.Prunable, Optimizer: optim.AdamW{WeightDecay: 0.01}},
//		{Name: "rest", Optimizer: optim.AdamW{}},
//	}
//
// PyTorch calls this parameter groups.
type Groups []Group

// String returns the names and optimizers of the groups, for example "groups(rest: sgd(…))".
func (gs Groups) String() string {
	parts := make([]string, len(gs))
	for i, g := range gs {
		parts[i] = fmt.Sprintf("%s: %v", g.Name, g.Optimizer)
	}
	return "groups(" + strings.Join(parts, "; ") + ")"
}

// Check returns an error if there is no group, or a group has no optimizer or one with settings out
// of range.
func (gs Groups) Check() error {
	f := faults{of: gs}
	f.require(len(gs) > 0, "there is no group; give at least one without Match, which matches every parameter")
	for _, g := range gs {
		if err := checkOptimizer(g.Optimizer); err != nil {
			f.add(fmt.Errorf("group %q: %w", g.Name, err))
		}
	}
	return f.err()
}

// Update returns the next weights.
func (gs Groups) Update(b *graph.Builder, w Weights, g Grads, t Clock) []graph.Node {
	next := make([]graph.Node, len(w))
	members := make([][]int, len(gs)) // indices of w, by group
	for i, p := range w {
		k := 0
		for k < len(gs) && gs[k].Match != nil && !gs[k].Match(p.Meta) {
			k++
		}
		if k == len(gs) {
			b.Fail("optim: %v: no group matches parameter %q; end with a group without Match", gs, p.Name)
			return append([]graph.Node(nil), g...)
		}
		members[k] = append(members[k], i)
	}
	for k, ids := range members {
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
