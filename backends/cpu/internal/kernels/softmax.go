package kernels

import (
	"fmt"
	"math"
)

// The matrices x[rows, cols] of this file are row-major: element (i, j) is at index i·cols + j.
//
//	m[i]      = max_j x[i,j]
//	prob[i,j] = exp(x[i,j] - m[i]) / Σ_k exp(x[i,k] - m[i])                softmax
//	loss[i]   = log Σ_k exp(x[i,k] - m[i]) - (x[i,labels[i]] - m[i])       cross-entropy
//	          = -log prob[i,labels[i]]

// Softmax sets each row of dst to the softmax of the same row of x. dst may be x.
func (isa InstructionSet) Softmax(dst, x []float32, rows, cols int) {
	for i := range rows {
		y, row := dst[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols]
		isa.Shift(y, row, -isa.Largest(row))
		isa.Exp(y, y)
		isa.Scale(y, y, float32(1/isa.Sum(y)))
	}
}

// CrossEntropy sets loss[i] to the cross-entropy of row i of the logits x and of labels[i], and
// prob to the softmax of x. It returns an error that names the row if a label is not in 0 to
// cols-1; loss and prob are then partly written. prob may be x.
func (isa InstructionSet) CrossEntropy(loss, prob, x []float32, labels []int32, rows, cols int) error {
	for i := range rows {
		p, row, label := prob[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols], int(labels[i])
		if label < 0 || label >= cols {
			return fmt.Errorf("kernels: cross-entropy: label of row %d: want 0 to %d, got %d", i, cols-1, label)
		}
		isa.Shift(p, row, -isa.Largest(row))
		logit := p[label]
		isa.Exp(p, p)
		sum := isa.Sum(p)
		loss[i] = float32(math.Log(sum) - float64(logit))
		isa.Scale(p, p, float32(1/sum))
	}
	return nil
}

// CrossEntropyGrad sets dx to the gradient of [InstructionSet.CrossEntropy]:
//
//	dx[i,j] = dloss[i] · (prob[i,j] - 1)    j = labels[i]
//	dx[i,j] = dloss[i] · prob[i,j]          otherwise
//
// It relies on the check of the labels by CrossEntropy. dx may be prob.
func (isa InstructionSet) CrossEntropyGrad(dx, dloss, prob []float32, labels []int32, rows, cols int) {
	for i := range rows {
		d := dx[i*cols : (i+1)*cols]
		at := prob[i*cols+int(labels[i])]
		isa.Scale(d, prob[i*cols:], dloss[i])
		d[labels[i]] = dloss[i] * (at - 1)
	}
}
