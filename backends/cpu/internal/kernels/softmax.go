package kernels

import (
	"fmt"
	"math"
)

// Softmax sets each of the rows of dst to the softmax of the same row of x: dst[i,j] = exp(x[i,j]-m) / sum_j exp(x[i,j]-m), m being the row's maximum.
// dst may be x.
func (l InstructionSet) Softmax(dst, x []float32, rows, cols int) {
	for i := range rows {
		y, row := dst[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols]
		l.Shift(y, row, -l.Largest(row))
		l.Exp(y, y)
		l.Scale(y, y, float32(1/l.Sum(y)))
	}
}

// SoftmaxGrad sets dx[i,j] = y[i,j] * (dy[i,j] - sum_k dy[i,k]*y[i,k]), the gradient of y = softmax(x). dx may be dy, but not y.
func (l InstructionSet) SoftmaxGrad(dx, dy, y []float32, rows, cols int) {
	for i := range rows {
		d, g, p := dx[i*cols:(i+1)*cols], dy[i*cols:(i+1)*cols], y[i*cols:(i+1)*cols]
		l.Shift(d, g, -float32(l.Dot(g, p)))
		l.Mul(d, d, p)
	}
}

// LogSoftmax sets each of the rows of dst to the logarithm of the softmax of the same row of x. dst may be x. scratch has cols elements.
func (l InstructionSet) LogSoftmax(dst, x, scratch []float32, rows, cols int) {
	scratch = scratch[:cols]
	for i := range rows {
		y, row := dst[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols]
		l.Shift(y, row, -l.Largest(row))
		l.Exp(scratch, y)
		l.Shift(y, y, -float32(math.Log(l.Sum(scratch))))
	}
}

// LogSoftmaxGrad sets dx[i,j] = dy[i,j] - exp(y[i,j]) * sum_k dy[i,k], the gradient of y = logsoftmax(x). dx may be y, but not dy.
func (l InstructionSet) LogSoftmaxGrad(dx, dy, y []float32, rows, cols int) {
	for i := range rows {
		d, g := dx[i*cols:(i+1)*cols], dy[i*cols:(i+1)*cols]
		l.Exp(d, y[i*cols:(i+1)*cols])
		l.Axpby(d, 1, g, -float32(l.Sum(g)), d)
	}
}

// CrossEntropy sets loss[i] = -log softmax(x[i,:])[labels[i]] for each row of the logits x[rows, cols] and prob[i,:] = softmax(x[i,:]). A
// label outside 0 to cols-1 is an error that names the row; loss and prob are then partly written. prob may be x.
func (l InstructionSet) CrossEntropy(loss, prob, x []float32, labels []int32, rows, cols int) error {
	for i := range rows {
		p, row, label := prob[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols], int(labels[i])
		if label < 0 || label >= cols {
			return fmt.Errorf("kernels: cross-entropy: row %d has label %d, want 0 to %d", i, label, cols-1)
		}
		l.Shift(p, row, -l.Largest(row))
		logit := p[label]
		l.Exp(p, p)
		sum := l.Sum(p)
		loss[i] = float32(math.Log(sum) - float64(logit))
		l.Scale(p, p, float32(1/sum))
	}
	return nil
}

// CrossEntropyGrad sets dx[i,j] = dloss[i] * (prob[i,j] - [j = labels[i]]), the gradient of [InstructionSet.CrossEntropy], whose check of the labels it
// relies on. dx may be prob.
func (l InstructionSet) CrossEntropyGrad(dx, dloss, prob []float32, labels []int32, rows, cols int) {
	for i := range rows {
		d := dx[i*cols : (i+1)*cols]
		at := prob[i*cols+int(labels[i])]
		l.Scale(d, prob[i*cols:], dloss[i])
		d[labels[i]] = dloss[i] * (at - 1)
	}
}
