package nn

import "github.com/compressaware/cram/sdk/graph"

// BatchNorm normalizes x [N C …] per channel, then scales and shifts it.
//
//	y = weight·(x-mean)/√(variance+Eps) + bias
//
// In [Train] mode mean and variance are those of the batch (the biased variance), and the pass
// updates the running statistics:
//
//	running_mean ← (1-Momentum)·running_mean + Momentum·mean
//	running_var  ← (1-Momentum)·running_var  + Momentum·variance·n/(n-1)
//
// n is the number of values of a channel in the batch. For n = 1 the factor n/(n-1) is 1, and the
// variance is 0. In [Infer] mode mean and variance are the running statistics.
//
// Parameters: weight, bias [C]. Statistics: running_mean, running_var [C].
//
// Reference: https://arxiv.org/abs/1502.03167.
type BatchNorm struct {
	// Eps is added to the variance, at most 1; 0 means 1e-5.
	Eps float64
	// Momentum is the weight of the batch in the running statistics, at most 1; 0 means 0.1.
	Momentum float64
}

// Forward returns y, with the shape of x.
func (n BatchNorm) Forward(p *Pass, x graph.Node) graph.Node {
	const layer = "BatchNorm"
	eps, momentum := or(n.Eps, 1e-5), or(n.Momentum, 0.1)
	p.within(layer, "Eps", eps, 0, 1)
	p.within(layer, "Momentum", momentum, 0, 1)
	c := p.size(layer, x, 0, 1)
	gamma := p.Param("weight", graph.Norm, Constant(1), c)
	beta := p.Param("bias", graph.Norm, Constant(0), c)
	mean := p.Stat("running_mean", Constant(0), c)
	variance := p.Stat("running_var", Constant(1), c)
	if p.Mode == Infer {
		return p.BatchNormInfer(x, gamma, beta, mean, variance, eps)
	}
	y, batchMean, batchVar := p.BatchNorm(x, gamma, beta, eps)
	blend := func(running, batch graph.Node) graph.Node {
		return p.Add(p.Scale(running, 1-momentum), p.Scale(batch, momentum))
	}
	p.SetStat("running_mean", blend(mean, batchMean))
	p.SetStat("running_var", blend(variance, p.Mul(batchVar, unbias(p, x))))
	return y
}

// unbias returns n/max(n-1, 1) as a scalar. n is the number of elements of x [N C …] per channel.
func unbias(p *Pass, x graph.Node) graph.Node {
	axes := []int{0}
	for i := 2; i < len(p.Shape(x)); i++ {
		axes = append(axes, i)
	}
	n := p.Count(x, axes...)
	return p.Div(n, p.Max(p.Shift(n, -1), p.ConstLike(n, 1)))
}
