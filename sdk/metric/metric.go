// Package metric has the metrics by which the quality of a network is measured: [Accuracy],
// [CrossEntropy], [MSE] and [BinaryAccuracy]. Any type with the methods of [Metric] is one.
//
// Metrics are computed on the host. An evaluation starts a [Meter], adds the outputs and targets of
// one batch after another, and reads its value at the end.
package metric

import (
	"fmt"
	"math"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// A Metric is a function of outputs and targets that measures quality. Its methods are safe for
// concurrent use.
type Metric interface {
	// String returns the name of the metric, the key of its value in a score: 1 to 200 bytes of
	// printable UTF-8.
	fmt.Stringer
	// HigherIsBetter reports whether a greater value is better.
	HigherIsBetter() bool
	// Start returns a Meter for one evaluation.
	Start() Meter
}

// A Meter accumulates a metric over the batches of one evaluation.
type Meter interface {
	// Add adds a batch of n examples: the outputs of the network and the targets, each [n …], the
	// main one first. The tensors are valid only during the call. It is an error if their types or
	// shapes are not those for which the metric is defined.
	Add(outputs, targets []array.Tensor) error
	// Value returns the metric over all batches so far. It is NaN if there is none.
	Value() float64
}

// mean is the mean of a quantity over examples or elements.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(v float64, n int) { m.sum, m.n = m.sum+v, m.n+n }

func (m *mean) Value() float64 { return m.sum / float64(m.n) }

// classes returns the logits [n width] and the class indices [n] of a batch.
func classes(metric string, outputs, targets []array.Tensor) (logits []float32, width int, labels []int32, err error) {
	if len(outputs) == 0 || len(targets) == 0 {
		return nil, 0, nil, fmt.Errorf("metric: %s: want an output and a target, got %d and %d", metric, len(outputs), len(targets))
	}
	o, t := outputs[0], targets[0]
	if o.DType != array.F32 || len(o.Dims) != 2 || t.DType != array.I32 || !slices.Equal(t.Dims, o.Dims[:1]) {
		return nil, 0, nil, fmt.Errorf("metric: %s: want logits f32[n C] and class indices i32[n], got %v%v and %v%v",
			metric, o.DType, o.Dims, t.DType, t.Dims)
	}
	width = o.Dims[1]
	for i, label := range t.I32() {
		if label < 0 || int(label) >= width {
			return nil, 0, nil, fmt.Errorf("metric: %s: example %d of the batch: want a class from 0 to %d, got %d",
				metric, i, width-1, label)
		}
	}
	return o.F32(), width, t.I32(), nil
}

// pairs returns the elements of the main output and the main target, which have the same shape.
func pairs(metric string, outputs, targets []array.Tensor) (output, target []float32, err error) {
	if len(outputs) == 0 || len(targets) == 0 {
		return nil, nil, fmt.Errorf("metric: %s: want an output and a target, got %d and %d", metric, len(outputs), len(targets))
	}
	o, t := outputs[0], targets[0]
	if o.DType != array.F32 || t.DType != array.F32 || !slices.Equal(o.Dims, t.Dims) {
		return nil, nil, fmt.Errorf("metric: %s: want output and target f32 of one shape, got %v%v and %v%v",
			metric, o.DType, o.Dims, t.DType, t.Dims)
	}
	return o.F32(), t.F32(), nil
}

// argMax returns the index of the greatest value, and of equal values the lowest one. It is -1 if
// row is empty or contains NaN.
func argMax(row []float32) int {
	best := -1
	for i, v := range row {
		if v != v {
			return -1
		}
		if best < 0 || v > row[best] {
			best = i
		}
	}
	return best
}

// logSumExp returns ln Σ e^row[i] without overflow.
func logSumExp(row []float32) float64 {
	top := math.Inf(-1)
	for _, v := range row {
		top = math.Max(top, float64(v)) // NaN if one is
	}
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}
