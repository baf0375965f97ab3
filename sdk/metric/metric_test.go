package metric_test

import (
	"math"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/metric"
)

func f32(t *testing.T, values []float32, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.From(values, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func i32(t *testing.T, values ...int32) array.Tensor {
	t.Helper()
	x, err := array.From(values)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestMetrics holds that each metric is a mean over examples or elements, and not over batches: the
// two batches have different sizes.
func TestMetrics(t *testing.T) {
	nan := float32(math.NaN())
	logits := [2]array.Tensor{f32(t, []float32{1, 2, 4, -1, 0, 3}, 2, 3), f32(t, []float32{5, 5, 5}, 1, 3)}
	labels := [2]array.Tensor{i32(t, 2, 0), i32(t, 0)}
	lse := func(xs ...float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += math.Exp(x)
		}
		return math.Log(sum)
	}
	for _, c := range []struct {
		metric          metric.Metric
		outputs, target [2]array.Tensor
		want            float64
		higher          bool
	}{
		{metric.Accuracy{}, logits, labels, 2. / 3, true}, // of equal logits the first counts
		{metric.Accuracy{}, [2]array.Tensor{f32(t, []float32{nan, 1}, 1, 2), f32(t, []float32{0, 1}, 1, 2)}, [2]array.Tensor{i32(t, 0), i32(t, 1)}, .5, true},
		{metric.CrossEntropy{}, logits, labels, (lse(1, 2, 4) - 4 + lse(-1, 0, 3) + 1 + lse(5, 5, 5) - 5) / 3, false},
		{metric.CrossEntropy{}, [2]array.Tensor{f32(t, []float32{1e30, -1e30}, 1, 2), f32(t, []float32{0, 0}, 1, 2)}, [2]array.Tensor{i32(t, 0), i32(t, 1)}, math.Ln2 / 2, false},
		{metric.MSE{}, [2]array.Tensor{f32(t, []float32{1, 2}, 2, 1), f32(t, []float32{4}, 1, 1)}, [2]array.Tensor{f32(t, []float32{1, 0}, 2, 1), f32(t, []float32{3}, 1, 1)}, 5. / 3, false},
		{metric.BinaryAccuracy{}, [2]array.Tensor{f32(t, []float32{1, -1, 0, nan}, 2, 2), f32(t, []float32{2, 2}, 1, 2)}, [2]array.Tensor{f32(t, []float32{1, 1, 0, 1}, 2, 2), f32(t, []float32{.5, .4}, 1, 2)}, 3. / 6, true},
	} {
		m := c.metric.Start()
		if v := m.Value(); !math.IsNaN(v) {
			t.Errorf("%v without a batch is %g, want NaN", c.metric, v)
		}
		for i := range 2 {
			if err := m.Add([]array.Tensor{c.outputs[i]}, []array.Tensor{c.target[i]}); err != nil {
				t.Fatalf("%v: %v", c.metric, err)
			}
		}
		if got := m.Value(); math.Abs(got-c.want) > 1e-12 || c.metric.HigherIsBetter() != c.higher {
			t.Errorf("%v is %g (higher is better: %v), want %g (%v)", c.metric, got, c.metric.HigherIsBetter(), c.want, c.higher)
		}
	}
}

// TestNaN holds that CrossEntropy and MSE are NaN if an output is.
func TestNaN(t *testing.T) {
	bad := f32(t, []float32{float32(math.NaN()), 1}, 1, 2)
	x, m := metric.CrossEntropy{}.Start(), metric.MSE{}.Start()
	if err := x.Add([]array.Tensor{bad}, []array.Tensor{i32(t, 1)}); err != nil || !math.IsNaN(x.Value()) {
		t.Errorf("cross_entropy is %g, %v", x.Value(), err)
	}
	if err := m.Add([]array.Tensor{bad}, []array.Tensor{f32(t, []float32{0, 0}, 1, 2)}); err != nil || !math.IsNaN(m.Value()) {
		t.Errorf("mse is %g, %v", m.Value(), err)
	}
}

// TestAddRefuses holds that Add returns an error for tensors that the metric is not defined for.
func TestAddRefuses(t *testing.T) {
	logits, labels := f32(t, []float32{1, 2}, 1, 2), i32(t, 0)
	for _, c := range []struct {
		metric          metric.Metric
		outputs, target []array.Tensor
		want            string
	}{
		{metric.Accuracy{}, nil, []array.Tensor{labels}, "want an output and a target, got 0 and 1"},
		{metric.Accuracy{}, []array.Tensor{labels}, []array.Tensor{labels}, "want logits f32[n C]"},
		{metric.CrossEntropy{}, []array.Tensor{logits}, []array.Tensor{i32(t, 0, 1)}, "got f32[1 2] and i32[2]"},
		{metric.Accuracy{}, []array.Tensor{logits}, []array.Tensor{i32(t, 2)}, "want a class from 0 to 1, got 2"},
		{metric.CrossEntropy{}, []array.Tensor{logits}, []array.Tensor{i32(t, -1)}, "got -1"},
		{metric.MSE{}, []array.Tensor{logits}, []array.Tensor{f32(t, []float32{1, 2}, 2, 1)}, "of one shape, got f32[1 2] and f32[2 1]"},
		{metric.BinaryAccuracy{}, []array.Tensor{logits}, []array.Tensor{labels}, "of one shape"},
	} {
		if err := c.metric.Start().Add(c.outputs, c.target); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want one with %q", c.metric, err, c.want)
		}
	}
}
