package reference

import (
	"math"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A grouping maps elements of x to groups that share a mean and a variance. Member k of group g is
// element at of x, and has element channel of gamma and beta.
type grouping struct {
	groups, members int
	member          func(g, k int) (at, channel int)
}

// byChannel returns the groups of batch normalization of x [N C …]: one for each channel.
func byChannel(x operand) grouping {
	channels, inner := x.dims[1], array.Count(x.dims[2:])
	return grouping{channels, x.dims[0] * inner, func(g, k int) (at, channel int) {
		return (k/inner*channels+g)*inner + k%inner, g
	}}
}

// byRow returns the groups of layer normalization of x […, D]: one for each row.
func byRow(x operand) grouping {
	width := x.dims[len(x.dims)-1]
	return grouping{x.size() / width, width, func(g, k int) (at, channel int) { return g*width + k, k }}
}

// normalize computes y = gamma·(x-mean)/√(var+eps)+beta, and mean and the biased var, of each
// group.
func (s grouping) normalize(eps float64, x, gamma, beta, y, mean, variance []float64) {
	for g := range s.groups {
		m, v := 0.0, 0.0
		for k := range s.members {
			at, _ := s.member(g, k)
			m += x[at]
		}
		m /= float64(s.members)
		for k := range s.members {
			at, _ := s.member(g, k)
			v += (x[at] - m) * (x[at] - m)
		}
		v /= float64(s.members)
		for k := range s.members {
			at, c := s.member(g, k)
			y[at] = gamma[c]*(x[at]-m)/math.Sqrt(v+eps) + beta[c]
		}
		mean[g], variance[g] = m, v
	}
}

// gradient computes, with x̂ = (x-mean)/√(var+eps) and E the mean over a group,
//
//	dx = (γ·dy - E[γ·dy] - x̂·E[γ·dy·x̂])/√(var+eps)    dgamma = Σ dy·x̂    dbeta = Σ dy
func (s grouping) gradient(eps float64, dy, x, gamma, mean, variance, dx, dgamma, dbeta []float64) {
	for g := range s.groups {
		invstd := 1 / math.Sqrt(variance[g]+eps)
		e, ex := 0.0, 0.0
		for k := range s.members {
			at, c := s.member(g, k)
			xhat := (x[at] - mean[g]) * invstd
			e += gamma[c] * dy[at] / float64(s.members)
			ex += gamma[c] * dy[at] * xhat / float64(s.members)
			dgamma[c] += dy[at] * xhat
			dbeta[c] += dy[at]
		}
		for k := range s.members {
			at, c := s.member(g, k)
			xhat := (x[at] - mean[g]) * invstd
			dx[at] = (gamma[c]*dy[at] - e - xhat*ex) * invstd
		}
	}
}

func batchNorm(attr graph.Attr, x, y []operand) error {
	byChannel(x[0]).normalize(attr.(graph.NormAttr).Eps, x[0].f, x[1].f, x[2].f, y[0].f, y[1].f, y[2].f)
	return nil
}

func layerNorm(attr graph.Attr, x, y []operand) error {
	byRow(x[0]).normalize(attr.(graph.NormAttr).Eps, x[0].f, x[1].f, x[2].f, y[0].f, y[1].f, y[2].f)
	return nil
}

func batchNormGrad(attr graph.Attr, x, y []operand) error {
	byChannel(x[1]).gradient(attr.(graph.NormAttr).Eps, x[0].f, x[1].f, x[2].f, x[3].f, x[4].f, y[0].f, y[1].f, y[2].f)
	return nil
}

func layerNormGrad(attr graph.Attr, x, y []operand) error {
	byRow(x[1]).gradient(attr.(graph.NormAttr).Eps, x[0].f, x[1].f, x[2].f, x[3].f, x[4].f, y[0].f, y[1].f, y[2].f)
	return nil
}

func batchNormInfer(attr graph.Attr, in, out []operand) error {
	x, gamma, beta, mean, variance := in[0], in[1].f, in[2].f, in[3].f, in[4].f
	s := byChannel(x)
	for g := range s.groups {
		std := math.Sqrt(variance[g] + attr.(graph.NormAttr).Eps)
		for k := range s.members {
			at, c := s.member(g, k)
			out[0].f[at] = gamma[c]*(x.f[at]-mean[g])/std + beta[c]
		}
	}
	return nil
}

// logSumExp returns ln Σ e^x, exact for large x.
func logSumExp(x []float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = larger(top, v)
	}
	if math.IsInf(top, 0) {
		return top
	}
	total := 0.0
	for _, v := range x {
		total += math.Exp(v - top)
	}
	return top + math.Log(total)
}

func softmax(_ graph.Attr, x, y []operand) error {
	width := x[0].dims[len(x[0].dims)-1]
	for r := 0; r < x[0].size(); r += width {
		row := x[0].f[r : r+width]
		total := logSumExp(row)
		for c, v := range row {
			y[0].f[r+c] = math.Exp(v - total)
		}
	}
	return nil
}

func crossEntropy(_ graph.Attr, x, y []operand) error {
	classes := x[0].dims[1]
	for n, label := range x[1].i {
		if err := inRange("label", n, label, classes); err != nil {
			return err
		}
		row := x[0].f[n*classes : (n+1)*classes]
		y[0].f[n] = logSumExp(row) - row[label]
	}
	return nil
}

func crossEntropyGrad(_ graph.Attr, x, y []operand) error {
	classes, dloss := x[0].dims[1], x[2].f
	for n, label := range x[1].i {
		if err := inRange("label", n, label, classes); err != nil {
			return err
		}
		row := x[0].f[n*classes : (n+1)*classes]
		total := logSumExp(row)
		for c, v := range row {
			onehot := float64(bit(int64(c) == label))
			y[0].f[n*classes+c] = (math.Exp(v-total) - onehot) * dloss[n]
		}
	}
	return nil
}
