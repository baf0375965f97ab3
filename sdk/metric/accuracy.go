package metric

import "github.com/compressaware/cram/sdk/array"

// Accuracy is the share of examples whose greatest logit is that of their class, from 0 to 1; of
// equal logits the first counts. An example with a NaN among its logits counts as wrong. It is
// defined for logits f32[n C] and class indices i32[n].
type Accuracy struct{}

func (Accuracy) String() string { return "accuracy" }

// HigherIsBetter returns true.
func (Accuracy) HigherIsBetter() bool { return true }

// Start begins an evaluation.
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

// BinaryAccuracy is the share of elements whose logit has the sign of their target: above 0 for a
// target of at least 0.5. A NaN counts as wrong. It is defined for logits and targets f32 of one
// shape, as in multi-label classification.
type BinaryAccuracy struct{}

func (BinaryAccuracy) String() string { return "binary_accuracy" }

// HigherIsBetter returns true.
func (BinaryAccuracy) HigherIsBetter() bool { return true }

// Start begins an evaluation.
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
