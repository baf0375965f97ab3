package nn

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A Loss is a scalar function of outputs and targets that a training minimizes.
type Loss interface {
	// String returns the name of the loss. A training resumes only with a loss of the same name.
	fmt.Stringer
	// Loss appends the loss to p and returns it, a scalar. Output is the main output of the model,
	// target the main target of the examples; it is none for a set without targets. Further outputs
	// are in p.Outputs, and [Pass.Target] returns further targets.
	Loss(p *Pass, output, target graph.Node) graph.Node
}

// CrossEntropy is the loss of a classifier, the mean over the examples n of
//
//	ln Σ_c e^output[n,c] − output[n,target[n]]
//
// in nats. The output contains logits, F32 [N C], the target class indices from 0 to C−1, I32 [N].
// It is PyTorch's CrossEntropyLoss.
type CrossEntropy struct{}

// String returns "cross_entropy".
func (CrossEntropy) String() string { return "cross_entropy" }

// Loss returns the mean cross-entropy.
func (CrossEntropy) Loss(p *Pass, logits, target graph.Node) graph.Node {
	return p.Mean(p.CrossEntropy(logits, target), false)
}

// MSE is the loss of a regression, the mean of (output − target)² over all elements. Output and
// target are F32 and have the same shape.
type MSE struct{}

// String returns "mse".
func (MSE) String() string { return "mse" }

// Loss returns the mean squared error.
func (MSE) Loss(p *Pass, output, target graph.Node) graph.Node {
	if !sameShape(p, "MSE", output, target) {
		return output
	}
	d := p.Sub(output, target)
	return p.Mean(p.Mul(d, d), false)
}

// BinaryCrossEntropy is the loss of a multi-label classifier, the mean over all elements of
//
//	ln(1 + e^output) − output·target
//
// in nats. The output contains logits, the target numbers from 0 to 1; both are F32 and have the
// same shape, for example [N C]. It is PyTorch's BCEWithLogitsLoss.
type BinaryCrossEntropy struct{}

// String returns "binary_cross_entropy".
func (BinaryCrossEntropy) String() string { return "binary_cross_entropy" }

// Loss returns the mean binary cross-entropy.
func (BinaryCrossEntropy) Loss(p *Pass, logits, target graph.Node) graph.Node {
	if !sameShape(p, "BinaryCrossEntropy", logits, target) {
		return logits
	}
	// ln(1 + e^x) is the cross-entropy of the logits [0, x] for class 0. It is finite for every
	// finite x, and its derivative at 0 is exact.
	x := p.Reshape(logits, graph.Shape{p.Shape(logits).Size(), {C: 1}})
	pair := p.Concat(1, p.ConstLike(x, 0), x)
	zero := p.Cast(p.ConstLike(p.Sum(x, false, 1), 0), array.I32)
	return p.Sub(p.Mean(p.CrossEntropy(pair, zero), false), p.Mean(p.Mul(logits, target), false))
}

// sameShape reports whether output and target have the same type, and records a failure if not.
func sameShape(p *Pass, loss string, output, target graph.Node) bool {
	if p.Err() != nil {
		return false
	}
	if target.None() {
		p.Fail("nn: %s: want a target, the examples have none", loss)
		return false
	}
	o, t := p.Type(output), p.Type(target)
	if !o.Equal(t) {
		p.Fail("nn: %s: want output and target of one type, got %v and %v", loss, o, t)
	}
	return o.Equal(t)
}

// LossFunc makes a [Loss] of a function. Name is the result of its String: change it when f
// changes, because a training resumes only with a loss of the same name.
func LossFunc(name string, f func(p *Pass, output, target graph.Node) graph.Node) Loss {
	return lossFunc{name, f}
}

type lossFunc struct {
	name string
	f    func(p *Pass, output, target graph.Node) graph.Node
}

func (l lossFunc) String() string { return l.name }

func (l lossFunc) Loss(p *Pass, output, target graph.Node) graph.Node {
	if l.f == nil {
		p.Fail("nn: LossFunc %q: want a function, got nil", l.name)
		return output
	}
	return l.f(p, output, target)
}
