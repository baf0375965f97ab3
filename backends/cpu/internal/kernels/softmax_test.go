package kernels

import (
	"math"
	"strings"
	"testing"
)

func TestSoftmaxAndCrossEntropy(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, s := range [][2]int{{1, 1}, {3, 10}, {2, 67}, {4, 1000}} {
			rows, cols := s[0], s[1]
			n := rows * cols
			x, labels := random(1, n), make([]int32, rows)
			for i := range x {
				x[i] = x[i]*5 + 300 // exp(x) alone overflows
			}
			prob, xent, xentGrad := make([]float64, n), make([]float64, rows), make([]float64, n)
			for i := range rows {
				labels[i] = int32((i * 7) % cols)
				var lse float64
				for j := range cols {
					lse += math.Exp(float64(x[i*cols+j]) - 300)
				}
				lse = math.Log(lse) + 300
				for k := i * cols; k < (i+1)*cols; k++ {
					prob[k] = math.Exp(float64(x[k]) - lse)
					xentGrad[k] = prob[k] * 0.5
				}
				label := i*cols + int(labels[i])
				xent[i] = lse - float64(x[label])
				xentGrad[label] -= 0.5
			}
			y := make([]float32, n)
			isa.Softmax(y, x, rows, cols)
			near(t, "softmax", y, prob, 1e-5)
			loss, half := make([]float32, rows), make([]float32, rows)
			for i := range half {
				half[i] = 0.5
			}
			if err := isa.CrossEntropy(loss, y, x, labels, rows, cols); err != nil {
				t.Fatal(err)
			}
			near(t, "cross-entropy", loss, xent, 1e-5)
			near(t, "cross-entropy probabilities", y, prob, 1e-5)
			isa.CrossEntropyGrad(y, half, y, labels, rows, cols)
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
