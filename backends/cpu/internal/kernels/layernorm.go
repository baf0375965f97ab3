package kernels

import "math"

// LayerNorm normalises each of the rows of x[rows, cols] and scales by vectors over the columns:
//
//	y[i,j] = (x[i,j] - mean[i]) * invstd[i] * gamma[j] + beta[j]
//
// mean[i] and invstd[i] = 1/sqrt(variance+eps), of the row and biased, are stored for the gradient. y may not be x.
func (l InstructionSet) LayerNorm(y, mean, invstd, x, gamma, beta []float32, rows, cols int, eps float64) {
	for i := range rows {
		out, row := y[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols]
		m := float32(l.Sum(row) / float64(cols))
		l.Shift(out, row, -m)
		// The rounded mean is off by a little: what it leaves is taken out of the sum of squares.
		left := l.Sum(out) / float64(cols)
		variance := max(l.SumSquares(out)/float64(cols)-left*left, 0)
		mean[i], invstd[i] = m, float32(1/math.Sqrt(variance+eps))
		l.Scale(out, out, invstd[i])
		l.Mul(out, out, gamma)
		l.Add(out, out, beta)
	}
}

// LayerNormGrad sets dx to the input gradient of [InstructionSet.LayerNorm] for each row, with xhat = (x-mean)*invstd and g = dy*gamma:
//
//	dx[i,j] = invstd[i] * (g[i,j] - Σ_k g[i,k]/cols - xhat[i,j] * Σ_k g[i,k]*xhat[i,k]/cols)
//
// scratch has cols elements. dx may be neither dy nor x.
func (l InstructionSet) LayerNormGrad(dx, dy, x, mean, invstd, gamma, scratch []float32, rows, cols int) {
	xhat := scratch[:cols]
	for i := range rows {
		d := dx[i*cols : (i+1)*cols]
		l.Shift(xhat, x[i*cols:], -mean[i])
		l.Scale(xhat, xhat, invstd[i])
		l.Mul(d, dy[i*cols:], gamma)
		g, gx := l.Sum(d)/float64(cols), l.Dot(d, xhat)/float64(cols)
		l.Shift(d, d, -float32(g))
		l.Axpby(d, invstd[i], d, -invstd[i]*float32(gx), xhat)
	}
}

// LayerNormParamGrad sets dgamma[j] = Σ_i dy[i,j]*xhat[i,j] and dbeta[j] = Σ_i dy[i,j] for the columns j0 to j1, in an order that does not
// depend on how the columns are split.
func LayerNormParamGrad(dgamma, dbeta, dy, x, mean, invstd []float32, rows, cols, j0, j1 int) {
	const width = 32
	for ; j0 < j1; j0 += width {
		var sum, prod [width]float64
		w := min(width, j1-j0)
		for i := range rows {
			g, in := dy[i*cols+j0:][:w], x[i*cols+j0:][:w]
			for j := range w {
				sum[j] += float64(g[j])
				prod[j] += float64(g[j]) * (float64(in[j]) - float64(mean[i])) * float64(invstd[i])
			}
		}
		for j := range w {
			dgamma[j0+j], dbeta[j0+j] = float32(prod[j]), float32(sum[j])
		}
	}
}
