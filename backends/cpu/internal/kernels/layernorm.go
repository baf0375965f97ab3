package kernels

// Layer normalization of the rows i of x[rows, cols], with scale gamma[j] and shift beta[j]:
//
//	xhat[i,j]  = (x[i,j] - mean[i]) · invstd[i]
//	y[i,j]     = xhat[i,j] · gamma[j] + beta[j]
//	dx[i,j]    = invstd[i] · (g[i,j] - Σ_k g[i,k]/cols - xhat[i,j] · Σ_k g[i,k]·xhat[i,k]/cols)
//	dgamma[j]  = Σ_i dy[i,j] · xhat[i,j]
//	dbeta[j]   = Σ_i dy[i,j]
//
// where g[i,j] = dy[i,j]·gamma[j] and invstd[i] = 1/√(variance[i]+ε). The caller computes y, mean
// and invstd with the elementwise kernels; this file has the gradients.

// LayerNormGrad sets dx for all rows. scratch has cols elements. dx may be neither dy nor x.
func (isa InstructionSet) LayerNormGrad(dx, dy, x, mean, invstd, gamma, scratch []float32, rows, cols int) {
	xhat := scratch[:cols]
	for i := range rows {
		d := dx[i*cols : (i+1)*cols]
		isa.Shift(xhat, x[i*cols:], -mean[i])
		isa.Scale(xhat, xhat, invstd[i])
		isa.Mul(d, dy[i*cols:], gamma)
		g, gx := isa.Sum(d)/float64(cols), isa.Dot(d, xhat)/float64(cols)
		isa.Shift(d, d, -float32(g))
		isa.Axpby(d, invstd[i], d, -invstd[i]*float32(gx), xhat)
	}
}

// LayerNormParamGrad sets dgamma[j] and dbeta[j] for the columns j0 ≤ j < j1. Every split of the
// columns gives the same result.
func LayerNormParamGrad(dgamma, dbeta, dy, x, mean, invstd []float32, rows, cols, j0, j1 int) {
	const width = 32 // the columns are processed in strips of width
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
