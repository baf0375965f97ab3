package metric_test

import (
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/metric"
)

// An evaluation in two batches.
func ExampleMetric() {
	m := metric.MSE{}
	meter := m.Start()
	for _, batch := range [][]float32{{1, 2, 3}, {4}} {
		outputs, err := array.From(batch, len(batch), 1)
		if err != nil {
			log.Fatal(err)
		}
		targets, err := array.New(array.F32, len(batch), 1) // zeros
		if err != nil {
			log.Fatal(err)
		}
		if err := meter.Add([]array.Tensor{outputs}, []array.Tensor{targets}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(m, meter.Value(), m.HigherIsBetter())
	// Output: mse 7.5 false
}

// Two examples of two classes. The greatest logit of the second example is not that of its class.
func ExampleAccuracy() {
	logits, err := array.From([]float32{2, 1, 0, 3}, 2, 2)
	if err != nil {
		log.Fatal(err)
	}
	classes, err := array.From([]int32{0, 0})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(measure(metric.Accuracy{}, logits, classes))
	// Output: 0.5
}

func ExampleCrossEntropy() {
	logits, err := array.From([]float32{4, 0, 0, 1, 1, 1}, 2, 3)
	if err != nil {
		log.Fatal(err)
	}
	classes, err := array.From([]int32{0, 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", measure(metric.CrossEntropy{}, logits, classes))
	// Output: 0.5673
}

func ExampleMSE() {
	outputs, err := array.From([]float32{1, 2}, 2, 1)
	if err != nil {
		log.Fatal(err)
	}
	targets, err := array.From([]float32{1, 5}, 2, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(measure(metric.MSE{}, outputs, targets))
	// Output: 4.5
}

// One example with four labels. The sign of the last logit is wrong.
func ExampleBinaryAccuracy() {
	logits, err := array.From([]float32{3, -3, 1, 2}, 1, 4)
	if err != nil {
		log.Fatal(err)
	}
	labels, err := array.From([]float32{1, 0, 1, 0}, 1, 4)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(measure(metric.BinaryAccuracy{}, logits, labels))
	// Output: 0.75
}

// measure returns the metric of one batch.
func measure(m metric.Metric, outputs, targets array.Tensor) float64 {
	meter := m.Start()
	if err := meter.Add([]array.Tensor{outputs}, []array.Tensor{targets}); err != nil {
		log.Fatal(err)
	}
	return meter.Value()
}
