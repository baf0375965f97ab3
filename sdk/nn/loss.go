package nn

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A Loss appends the scalar to be minimised to a pass. Output is the main output of the model and
// target the main target of the examples; further ones are p.Outputs and [Pass.Target]. String
// returns the name under which a training records it.
type Loss interface {
	fmt.Stringer
	Loss(p *Pass, output, target graph.Node) graph.Node
}

// CrossEntropy is the loss of a classifier, the mean over the batch of
//
//	ln Σ_c e^output[n,c] − output[n,target[n]]
//
// for logits [N C] and class indices [N] (I32).
type CrossEntropy struct{}

func (CrossEntropy) String() string { return "cross_entropy" }

// Loss appends the mean cross-entropy.
func (CrossEntropy) Loss(p *Pass, logits, target graph.Node) graph.Node {
	return p.Mean(p.CrossEntropy(logits, target), false)
}

// MSE is the loss of a regression, the mean of (output − target)² over all elements. Output and
// target have one shape.
type MSE struct{}

func (MSE) String() string { return "mse" }

// Loss appends the mean squared error.
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
// for logits and targets from 0 to 1 (F32) of one shape [N C]. It is PyTorch's BCEWithLogitsLoss.
type BinaryCrossEntropy struct{}

func (BinaryCrossEntropy) String() string { return "binary_cross_entropy" }

// Loss appends the mean binary cross-entropy.
func (BinaryCrossEntropy) Loss(p *Pass, logits, target graph.Node) graph.Node {
	if !sameShape(p, "BinaryCrossEntropy", logits, target) {
		return logits
	}
	// ln(1 + e^x) is the cross-entropy of the logits [0, x] for class 0: finite for every finite x,
	// and its derivative is exact at 0.
	x := p.Reshape(logits, graph.Shape{p.Shape(logits).Size(), {C: 1}})
	pair := p.Concat(1, p.ConstLike(x, 0), x)
	zero := p.Cast(p.ConstLike(p.Sum(x, false, 1), 0), array.I32)
	return p.Sub(p.Mean(p.CrossEntropy(pair, zero), false), p.Mean(p.Mul(logits, target), false))
}

func sameShape(p *Pass, loss string, output, target graph.Node) bool {
	if p.Err() != nil {
		return false
	}
	o, t := p.Type(output), p.Type(target)
	if !o.Equal(t) {
		p.Fail("nn: %s: want output and target of one type, got %v and %v", loss, o, t)
	}
	return o.Equal(t)
}

// LossFunc returns a Loss of the caller's own function. Name identifies it: a training resumes only
// with a loss of the same name.
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
