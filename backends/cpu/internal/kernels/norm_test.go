package kernels

import (
	"fmt"
	"math"
	"testing"
)

// normShapes are the tensors that normalization is tested on: images, channels, pixels.
var normShapes = []struct{ n, c, pixels int }{{1, 16, 1}, {2, 16, 2}, {3, 5, 7}, {4, 33, 12}, {2, 16, 64}, {5, 64, 1}, {2, 20, 67}}

// blockedCase is a random batch, with its normalization and gradient in float64 by the formulas of
// norm.go.
type blockedCase struct {
	planes                  Planes
	n, c                    int
	x, dy, residual         []float32
	gamma, beta             []float32
	mean, variance          []float64
	dgamma, dbeta           []float64
	y, g, dx                []float64
	invstd, scale, fmean    []float32
	relu, residualIsPresent bool
}

const normEps = 1e-5

func newBlockedCase(n, c, pixels int, relu, residual bool) *blockedCase {
	b := Blocks(c)
	k := &blockedCase{planes: Planes{b, pixels, 0, n * b}, n: n, c: c, relu: relu, residualIsPresent: residual}
	size := n * b * pixels * Block
	k.x, k.dy, k.residual = random(1, size), random(2, size), random(3, size)
	k.gamma, k.beta = random(4, b*Block), random(5, b*Block)
	k.mean, k.variance = make([]float64, b*Block), make([]float64, b*Block)
	k.dgamma, k.dbeta = make([]float64, b*Block), make([]float64, b*Block)
	k.y, k.g, k.dx = make([]float64, size), make([]float64, size), make([]float64, size)
	k.invstd, k.scale, k.fmean = make([]float32, b*Block), make([]float32, b*Block), make([]float32, b*Block)
	each := func(ch int, f func(i int)) {
		for img := range n {
			for p := range pixels {
				f(((img*b+ch/Block)*pixels+p)*Block + ch%Block)
			}
		}
	}
	m := float64(n * pixels)
	for ch := range b * Block {
		if ch >= c {
			k.gamma[ch], k.beta[ch] = 0, 0
			each(ch, func(i int) { k.x[i], k.dy[i], k.residual[i] = 0, 0, 0 })
		}
		// Values far from zero, for which Σx²/M - mean² is inaccurate.
		each(ch, func(i int) {
			if ch < c {
				k.x[i] = k.x[i]*0.5 + float32(ch)
			}
		})
		each(ch, func(i int) { k.mean[ch] += float64(k.x[i]) / m })
		each(ch, func(i int) { k.variance[ch] += (float64(k.x[i]) - k.mean[ch]) * (float64(k.x[i]) - k.mean[ch]) / m })
		inv := 1 / math.Sqrt(k.variance[ch]+normEps)
		each(ch, func(i int) {
			xhat := (float64(k.x[i]) - k.mean[ch]) * inv
			k.y[i] = xhat*float64(k.gamma[ch]) + float64(k.beta[ch])
			if residual {
				k.y[i] += float64(k.residual[i])
			}
			k.g[i] = float64(k.dy[i])
			if relu && !(float32(k.y[i]) > 0) {
				k.y[i], k.g[i] = 0, 0
			}
			k.dbeta[ch] += k.g[i]
			k.dgamma[ch] += k.g[i] * xhat
		})
		each(ch, func(i int) {
			xhat := (float64(k.x[i]) - k.mean[ch]) * inv
			k.dx[i] = float64(k.gamma[ch]) * inv * (k.g[i] - k.dbeta[ch]/m - xhat*k.dgamma[ch]/m)
		})
		k.fmean[ch], k.invstd[ch] = float32(k.mean[ch]), float32(inv)
		k.scale[ch] = k.gamma[ch] * k.invstd[ch]
	}
	return k
}

// eachNormCase calls f for all shapes, with and without ReLU and residual.
func eachNormCase(f func(what string, k *blockedCase)) {
	for _, s := range normShapes {
		for _, relu := range []bool{false, true} {
			for _, residual := range []bool{false, true} {
				what := fmt.Sprintf("n=%d c=%d pixels=%d relu=%v residual=%v", s.n, s.c, s.pixels, relu, residual)
				f(what, newBlockedCase(s.n, s.c, s.pixels, relu, residual))
			}
		}
	}
}

func TestMoments(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		eachNormCase(func(what string, k *blockedCase) {
			p := k.planes
			part, portable := make([]float32, p.To*MomentsPart), make([]float32, p.To*MomentsPart)
			for i := range p.To { // plane by plane: the split does not matter
				isa.Moments(part, k.x, Planes{p.Blocks, p.Pixels, i, i + 1})
			}
			Portable.Moments(portable, k.x, p)
			sameBits(t, what+" partial sums", part, portable)
			mean, variance := make([]float32, p.Blocks*Block), make([]float32, p.Blocks*Block)
			MergeMoments(mean, variance, part, k.n, p.Blocks, p.Pixels, 0, p.Blocks)
			near(t, what+" mean", mean, k.mean, 1e-6)
			near(t, what+" variance", variance, k.variance, 1e-6)
			invstd := make([]float32, len(variance))
			InvStd(invstd, variance, normEps)
			sameWithin(t, what+" invstd", invstd, k.invstd, 1e-4)
		})
	})
}

func TestNormalize(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		eachNormCase(func(what string, k *blockedCase) {
			a := Affine{k.fmean, k.scale, k.beta}
			var residual []float32
			if k.residualIsPresent {
				residual = k.residual
			}
			y, portable := make([]float32, len(k.x)), make([]float32, len(k.x))
			isa.Normalize(y, k.x, residual, a, k.relu, k.planes)
			Portable.Normalize(portable, k.x, residual, a, k.relu, k.planes)
			near(t, what, y, k.y, 2e-5)
			sameBits(t, what, y, portable)
			in := append(Floats(0), k.x...)
			isa.Normalize(in, in, residual, a, k.relu, k.planes)
			sameBits(t, what+" in place", in, portable)
		})
	})
}

func TestNormGradient(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		eachNormCase(func(what string, k *blockedCase) {
			p := k.planes
			var y []float32
			if k.relu {
				y = make([]float32, len(k.y))
				for i, v := range k.y {
					y[i] = float32(v)
				}
			}
			part, portable, noG := make([]float32, p.To*GradPart), make([]float32, p.To*GradPart), make([]float32, p.To*GradPart)
			g, wantG := make([]float32, len(k.x)), make([]float32, len(k.x))
			isa.NormGradSums(part, g, k.dy, y, k.x, k.fmean, p)
			isa.NormGradSums(noG, nil, k.dy, y, k.x, k.fmean, p)
			Portable.NormGradSums(portable, wantG, k.dy, y, k.x, k.fmean, p)
			sameBits(t, what+" partial sums", part, portable)
			sameBits(t, what+" partial sums without g", noG, portable)
			sameBits(t, what+" g", g, wantG)

			c := p.Blocks * Block
			dgamma, dbeta := make([]float32, c), make([]float32, c)
			MergeGradSums(dbeta, dgamma, part, k.invstd, k.n, p.Blocks, 0, p.Blocks)
			near(t, what+" dbeta", dbeta, k.dbeta, 1e-5)
			near(t, what+" dgamma", dgamma, k.dgamma, 1e-4)

			d := InputGrad{k.fmean, k.scale, make([]float32, c), make([]float32, c)}
			InputGradOf(d, dbeta, dgamma, k.invstd, k.n*p.Pixels)
			dx, wantDx := make([]float32, len(k.x)), make([]float32, len(k.x))
			isa.NormGradInput(dx, k.dy, y, k.x, d, p)
			Portable.NormGradInput(wantDx, k.dy, y, k.x, d, p)
			sameBits(t, what+" dx", dx, wantDx)
			// One image of one pixel has variance 0: invstd is 316 there and amplifies rounding.
			if k.n*p.Pixels > 1 {
				near(t, what+" dx", dx, k.dx, 2e-4)
			}
		})
	})
}

func sameWithin(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	wide := make([]float64, len(want))
	for i, v := range want {
		wide[i] = float64(v)
	}
	near(t, what, got, wide, tol)
}

func TestNormStaysInside(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for pixels := 1; pixels < 20; pixels++ {
			for _, end := range []bool{false, true} {
				p, size := Planes{1, pixels, 0, 1}, pixels*Block
				x, y, dy, g := guarded(t, size, end), guarded(t, size, end), guarded(t, size, end), guarded(t, size, end)
				v := guarded(t, Block, end)
				part, moments := guarded(t, GradPart, end), guarded(t, MomentsPart, end)
				isa.Moments(moments, x, p)
				for _, relu := range []bool{false, true} {
					isa.Normalize(y, x, nil, Affine{v, v, v}, relu, p)
					isa.Normalize(y, x, dy, Affine{v, v, v}, relu, p)
				}
				isa.NormGradSums(part, g, dy, y, x, v, p)
				isa.NormGradSums(part, nil, dy, y, x, v, p)
				isa.NormGradSums(part, nil, dy, nil, x, v, p)
				isa.NormGradInput(g, dy, y, x, InputGrad{v, v, v, v}, p)
				isa.NormGradInput(g, dy, nil, x, InputGrad{v, v, v, v}, p)
			}
		}
	})
}
