package sdk

import (
	"context"
	"fmt"
	"math"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
)

// A Score says how well a classifier does on a data set.
type Score struct {
	Accuracy float64 // share of examples whose largest logit is the label's, 0 to 1; of equal logits the first counts
	Loss     float64 // mean cross-entropy, in nats
	Examples int
}

// evaluate runs an inference program over a set, in order, batch by batch.
func evaluate(ctx context.Context, infer backends.Executable, set data.Set, batch int) (Score, error) {
	var s Score
	correct := 0
	for b, err := range (data.Loader{Set: set, Batch: batch}).Epoch(ctx, 0, 0) {
		if err != nil {
			return Score{}, err
		}
		x, err := array.FromF32(b.X, b.Shape...)
		if err != nil {
			return Score{}, err
		}
		out, err := infer.Run(ctx, []array.Tensor{x}, nil)
		if err != nil {
			return Score{}, err
		}
		logits := out[0]
		if len(logits.Dims) != 2 || logits.Dims[0] != len(b.Y) {
			return Score{}, fmt.Errorf("want logits [%d classes], got %v", len(b.Y), logits.Dims)
		}
		classes := logits.Dims[1]
		for i, label := range b.Y {
			row := logits.F32()[i*classes:][:classes]
			if int(label) >= classes {
				return Score{}, fmt.Errorf("label %d, but the network has %d classes", label, classes)
			}
			if argmax(row) == int(label) {
				correct++
			}
			s.Loss += crossEntropy(row, int(label))
		}
		s.Examples += len(b.Y)
	}
	s.Accuracy = float64(correct) / float64(s.Examples)
	s.Loss /= float64(s.Examples)
	return s, nil
}

// argmax returns the index of the first largest value.
func argmax(row []float32) int {
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return best
}

// crossEntropy returns ln Σ_c e^row[c] - row[label].
func crossEntropy(row []float32, label int) float64 {
	top := float64(row[argmax(row)])
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum) - float64(row[label])
}
