package metric

import "github.com/compressaware/cram/sdk/array"

// CrossEntropy is the mean over examples of ln Σ_c e^logits[n,c] − logits[n,class[n]], in nats. It
// is defined for logits f32[n C] and class indices i32[n].
type CrossEntropy struct{}

func (CrossEntropy) String() string { return "cross_entropy" }

// HigherIsBetter returns false.
func (CrossEntropy) HigherIsBetter() bool { return false }

// Start begins an evaluation.
func (CrossEntropy) Start() Meter { return &crossEntropy{} }

type crossEntropy struct{ mean }

func (m *crossEntropy) Add(outputs, targets []array.Tensor) error {
	logits, width, labels, err := classes("cross_entropy", outputs, targets)
	if err != nil {
		return err
	}
	for i, label := range labels {
		row := logits[i*width:][:width]
		m.add(logSumExp(row)-float64(row[label]), 1)
	}
	return nil
}

// MSE is the mean of (output − target)² over all elements. It is defined for outputs and targets
// f32 of one shape.
type MSE struct{}

func (MSE) String() string { return "mse" }

// HigherIsBetter returns false.
func (MSE) HigherIsBetter() bool { return false }

// Start begins an evaluation.
func (MSE) Start() Meter { return &mse{} }

type mse struct{ mean }

func (m *mse) Add(outputs, targets []array.Tensor) error {
	output, target, err := pairs("mse", outputs, targets)
	if err != nil {
		return err
	}
	for i, x := range output {
		d := float64(x) - float64(target[i])
		m.add(d*d, 1)
	}
	return nil
}
