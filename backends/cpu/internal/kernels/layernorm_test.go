package kernels

import (
	"fmt"
	"math"
	"testing"
)

func TestLayerNormGradient(t *testing.T) {
	const eps = 1e-5
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, s := range [][2]int{{1, 1}, {3, 2}, {4, 67}, {70, 33}, {2, 768}} {
			rows, cols := s[0], s[1]
			what := fmt.Sprintf("%dx%d", rows, cols)
			x, dy, gamma := random(1, rows*cols), random(2, rows*cols), random(3, cols)
			for i := range x {
				x[i] += 10
			}
			wantDx := make([]float64, len(x))
			mean, invstd := make([]float32, rows), make([]float32, rows)
			wantGamma, wantBeta := make([]float64, cols), make([]float64, cols)
			for i := range rows {
				var m, v, sg, sgx float64
				for j := range cols {
					m += float64(x[i*cols+j]) / float64(cols)
				}
				for j := range cols {
					v += math.Pow(float64(x[i*cols+j])-m, 2) / float64(cols)
				}
				inv := 1 / math.Sqrt(v+eps)
				mean[i], invstd[i] = float32(m), float32(inv)
				xhat := func(j int) float64 { return (float64(x[i*cols+j]) - m) * inv }
				for j := range cols {
					g := float64(dy[i*cols+j]) * float64(gamma[j])
					wantGamma[j] += float64(dy[i*cols+j]) * xhat(j)
					wantBeta[j] += float64(dy[i*cols+j])
					sg += g / float64(cols)
					sgx += g * xhat(j) / float64(cols)
				}
				for j := range cols {
					wantDx[i*cols+j] = inv * (float64(dy[i*cols+j])*float64(gamma[j]) - sg - xhat(j)*sgx)
				}
			}
			dx, scratch := make([]float32, len(x)), make([]float32, cols)
			isa.LayerNormGrad(dx, dy, x, mean, invstd, gamma, scratch, rows, cols)
			dgamma, dbeta := make([]float32, cols), make([]float32, cols)
			for j := range cols {
				LayerNormParamGrad(dgamma, dbeta, dy, x, mean, invstd, rows, cols, j, j+1)
			}
			near(t, what+" dx", dx, wantDx, 1e-4)
			near(t, what+" dgamma", dgamma, wantGamma, 1e-4)
			near(t, what+" dbeta", dbeta, wantBeta, 1e-5)
		}
	})
}
