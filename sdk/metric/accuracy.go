package metric

import "github.com/compressaware/cram/sdk/array"

// Accuracy is the fraction of examples, from 0 to 1, whose greatest logit is that of their class.
// Of equal logits the one of the lowest class counts. An example with a NaN among its logits is
// wrong.
//
// The main output contains logits, F32 [n C], the main target class indices from 0 to C−1, I32 [n].
type Accuracy struct{}

// String returns "accuracy".
func (Accuracy) String() string { return "accuracy" }

// HigherIsBetter returns true.
func (Accuracy) HigherIsBetter() bool { return true }

// Start returns a Meter for one evaluation.
func (Accuracy) Start() Meter { return &accuracy{} }

type accuracy struct{ mean }

func (m *accuracy) Add(outputs, targets []array.Tensor) error {
	logits, width, labels, err := classes("accuracy", outputs, targets)
	if err != nil {
		return err
	}
	for i, label := range labels {
		right := 0.0
		if argMax(logits[i*width:][:width]) == int(label) {
			right = 1
		}
		m.add(right, 1)
	}
	return nil
}

// BinaryAccuracy is the fraction of elements, from 0 to 1, whose logit is right: above 0 for a
// target of at least 0.5, and at most 0 for any other target. NaN is wrong. It suits multi-label
// classification.
//
// The main output contains logits, the main target numbers from 0 to 1; both are F32 and have the
// same shape.
type BinaryAccuracy struct{}

// String returns "binary_accuracy".
func (BinaryAccuracy) String() string { return "binary_accuracy" }

// HigherIsBetter returns true.
func (BinaryAccuracy) HigherIsBetter() bool { return true }

// Start returns a Meter for one evaluation.
func (BinaryAccuracy) Start() Meter { return &binaryAccuracy{} }

type binaryAccuracy struct{ mean }

func (m *binaryAccuracy) Add(outputs, targets []array.Tensor) error {
	output, target, err := pairs("binary_accuracy", outputs, targets)
	if err != nil {
		return err
	}
	for i, x := range output {
		right := 0.0
		if target[i] >= .5 && x > 0 || target[i] < .5 && x <= 0 {
			right = 1
		}
		m.add(right, 1)
	}
	return nil
}
