package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/metric"
)

// A Score is the result of an evaluation.
type Score struct {
	// Examples is the number of examples in the data set.
	Examples int
	// Values contains the value of each metric by its name, for example "accuracy".
	Values map[string]float64
}

// metricsFor returns the metrics that suit the main target: accuracy and cross-entropy of a class
// index, otherwise the mean squared error. It is an error if there is no target.
func metricsFor(targets []graph.Field) ([]metric.Metric, error) {
	if len(targets) == 0 {
		return nil, errors.New("want metrics for examples without targets, got none")
	}
	if targets[0].DType == array.I32 && len(targets[0].Shape) == 0 {
		return []metric.Metric{metric.Accuracy{}, metric.CrossEntropy{}}, nil
	}
	return []metric.Metric{metric.MSE{}}, nil
}

// checkMetrics returns an error if a metric is nil, two have the same name, or a name cannot be
// stored in a checkpoint.
func checkMetrics(metrics []metric.Metric) error {
	seen := map[string]bool{}
	for i, m := range metrics {
		if m == nil {
			return fmt.Errorf("metric %d: want a Metric, got nil", i)
		}
		if name := m.String(); name == "" || len(name) > 200 || !utf8.ValidString(name) || strings.ContainsFunc(name, notPrintable) {
			return fmt.Errorf("metric %d: want a name of 1 to 200 bytes of printable UTF-8, got %.64q", i, name)
		}
		if seen[m.String()] {
			return fmt.Errorf("want metrics of different names, got %q twice", m)
		}
		seen[m.String()] = true
	}
	return nil
}

func notPrintable(c rune) bool { return !unicode.IsPrint(c) }

// evaluate runs an inference program on all examples of a set and returns the metrics.
func evaluate(ctx context.Context, infer backends.Executable, set data.Set, batch int, metrics []metric.Metric) (Score, error) {
	meters := make([]metric.Meter, len(metrics))
	for i, m := range metrics {
		meters[i] = m.Start()
	}
	s := Score{Values: map[string]float64{}}
	for b, err := range (data.Loader{Set: set, Batch: batch}).Epoch(ctx, 0, 0) {
		if err != nil {
			return Score{}, err
		}
		out, err := infer.Run(ctx, b.Inputs, nil)
		if err != nil {
			return Score{}, err
		}
		for _, m := range meters {
			if err := m.Add(out, b.Targets); err != nil {
				return Score{}, err
			}
		}
		s.Examples += b.Len()
	}
	for i, m := range metrics {
		s.Values[m.String()] = meters[i].Value()
	}
	return s, nil
}

// checkInputs returns an error unless the inputs of a set, got, are those of a network, want.
func checkInputs(want, got []graph.Field) error {
	same := slices.EqualFunc(want, got, func(a, b graph.Field) bool { return a.Name == b.Name && a.Type.Equal(b.Type) })
	if !same {
		return fmt.Errorf("want examples with the inputs %s, got %s", describeFields(want), describeFields(got))
	}
	return nil
}

// describeFields returns fields as text, for example "ids i32[T], mask f32[T]".
func describeFields(fields []graph.Field) string {
	s := ""
	for i, f := range fields {
		if i > 0 {
			s += ", "
		}
		s += f.Name + " " + f.Type.String()
	}
	return s
}
