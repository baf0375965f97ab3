package kernels

import (
	"math"
	"strings"
	"testing"
)

func TestSoftmaxAndCrossEntropy(t *testing.T) {
	eachLevel(t, func(t *testing.T, l InstructionSet) {
		for _, s := range [][2]int{{1, 1}, {3, 10}, {2, 67}, {4, 1000}} {
			rows, cols := s[0], s[1]
			n := rows * cols
			x, dy, labels := random(1, n), random(2, n), make([]int32, rows)
			for i := range x {
				x[i] = x[i]*5 + 300 // exp(x) alone overflows
			}
			prob, logProb := make([]float64, n), make([]float64, n)
			grad, logGrad, xent, xentGrad := make([]float64, n), make([]float64, n), make([]float64, rows), make([]float64, n)
			for i := range rows {
				labels[i] = int32((i * 7) % cols)
				var lse, dot, sum float64
				for j := range cols {
					lse += math.Exp(float64(x[i*cols+j]) - 300)
				}
				lse = math.Log(lse) + 300
				for k := i * cols; k < (i+1)*cols; k++ {
					logProb[k] = float64(x[k]) - lse
					prob[k] = math.Exp(logProb[k])
					dot += float64(dy[k]) * prob[k]
					sum += float64(dy[k])
				}
				xent[i] = -logProb[i*cols+int(labels[i])]
				for k := i * cols; k < (i+1)*cols; k++ {
					grad[k] = prob[k] * (float64(dy[k]) - dot)
					logGrad[k] = float64(dy[k]) - prob[k]*sum
					xentGrad[k] = prob[k] * 0.5
				}
				xentGrad[i*cols+int(labels[i])] -= 0.5
			}
			y, dx, scratch := make([]float32, n), make([]float32, n), make([]float32, cols)
			l.Softmax(y, x, rows, cols)
			near(t, "softmax", y, prob, 1e-5)
			l.SoftmaxGrad(dx, dy, y, rows, cols)
			near(t, "softmax gradient", dx, grad, 1e-5)
			l.LogSoftmax(y, x, scratch, rows, cols)
			near(t, "log-softmax", y, logProb, 1e-5)
			l.LogSoftmaxGrad(dx, dy, y, rows, cols)
			near(t, "log-softmax gradient", dx, logGrad, 1e-4)
			loss, half := make([]float32, rows), make([]float32, rows)
			for i := range half {
				half[i] = 0.5
			}
			if err := l.CrossEntropy(loss, y, x, labels, rows, cols); err != nil {
				t.Fatal(err)
			}
			near(t, "cross-entropy", loss, xent, 1e-5)
			near(t, "cross-entropy probabilities", y, prob, 1e-5)
			l.CrossEntropyGrad(y, half, y, labels, rows, cols)
			near(t, "cross-entropy gradient", y, xentGrad, 1e-5)
		}
	})
}

func TestCrossEntropyNamesTheBadRow(t *testing.T) {
	for _, label := range []int32{-1, 3, math.MaxInt32} {
		err := Portable.CrossEntropy(make([]float32, 2), make([]float32, 6), make([]float32, 6), []int32{0, label}, 2, 3)
		if err == nil || !strings.Contains(err.Error(), "row 1") {
			t.Errorf("label %d: error %v; want one that names row 1", label, err)
		}
	}
}
