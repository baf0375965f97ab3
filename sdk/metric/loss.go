package metric

import "github.com/compressaware/cram/sdk/array"

// CrossEntropy is the mean over the examples n of
//
//	ln Σ_c e^output[n,c] − output[n,target[n]]
//
// in nats. The main output contains logits, F32 [n C], the main target class indices from 0 to C−1,
// I32 [n].
type CrossEntropy struct{}

// String returns "cross_entropy".
func (CrossEntropy) String() string { return "cross_entropy" }

// HigherIsBetter returns false.
func (CrossEntropy) HigherIsBetter() bool { return false }

// Start returns a Meter for one evaluation.
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

// MSE is the mean of (output − target)² over all elements. The main output and the main target are
// F32 and have the same shape.
type MSE struct{}

// String returns "mse".
func (MSE) String() string { return "mse" }

// HigherIsBetter returns false.
func (MSE) HigherIsBetter() bool { return false }

// Start returns a Meter for one evaluation.
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
