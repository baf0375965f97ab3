package nn_test

import (
	"math"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/internal/golden"
)

// state has mean 10, variance 100, weight 1 and bias 0.
func state(t *testing.T) map[string]array.Tensor {
	return map[string]array.Tensor{
		"bn.weight":       f32(t, []float32{1}),
		"bn.bias":         f32(t, []float32{0}),
		"bn.running_mean": f32(t, []float32{10}),
		"bn.running_var":  f32(t, []float32{100}),
	}
}

// TestBatchNormByHand holds that outputs and statistics are right for the batch 1, 3, 5, 7: its
// mean is 4, its biased variance 5 and the unbiased one 20/3. Rounding to float32 changes values up
// to 100 by less than 1e-5.
func TestBatchNormByHand(t *testing.T) {
	near := func(got float32, want float64) bool { return math.Abs(float64(got)-want) < 1e-4 }
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(1))
	p := nn.NewPass(b, nn.Train)
	b.Output("train", p.Apply("bn", nn.BatchNorm{}, x))
	b.Output("infer", nn.NewPass(b, nn.Infer).Apply("bn", nn.BatchNorm{}, x))
	for name, next := range p.Stats {
		b.Update(name, next)
	}
	out, after := golden.Run(t, program(t, b), state(t), f32(t, []float32{1, 3, 5, 7}, 4, 1))
	for i, x := range []float64{1, 3, 5, 7} {
		if got, want := out["train"].F32()[i], (x-4)/math.Sqrt(5+1e-5); !near(got, want) {
			t.Errorf("training: %g gives %g, want %g", x, got, want)
		}
		if got, want := out["infer"].F32()[i], (x-10)/math.Sqrt(100+1e-5); !near(got, want) {
			t.Errorf("inference: %g gives %g, want %g", x, got, want)
		}
	}
	if got, want := after["bn.running_mean"].F32()[0], 0.9*10+0.1*4; !near(got, want) {
		t.Errorf("running mean is %g, want %g", got, want)
	}
	if got, want := after["bn.running_var"].F32()[0], 0.9*100+0.1*20/3; !near(got, want) {
		t.Errorf("running variance is %g, want %g", got, want)
	}
}

// TestBatchNormCommits holds that statistics change only by Update, and that of two passes only the
// statistics of the committed one count.
func TestBatchNormCommits(t *testing.T) {
	for _, commit := range []bool{false, true} {
		b := graph.NewBuilder()
		x := b.Input("x", array.F32, graph.Batch(1))
		clean, second := nn.NewPass(b, nn.Train), nn.NewPass(b, nn.Train)
		y := clean.Apply("bn", nn.BatchNorm{}, x)
		b.Output("y", b.Add(y, second.Apply("bn", nn.BatchNorm{}, b.Scale(x, 100))))
		want := float32(10)
		if commit {
			want = 0.9*10 + 0.1*4
			for name, next := range clean.Stats {
				b.Update(name, next)
			}
		}
		// Without updates the running statistics are not part of the program.
		s := state(t)
		if !commit {
			delete(s, "bn.running_mean")
			delete(s, "bn.running_var")
		}
		_, after := golden.Run(t, program(t, b), s, f32(t, []float32{1, 3, 5, 7}, 4, 1))
		got, declared := after["bn.running_mean"]
		if declared != commit {
			t.Fatalf("commit %v: the running mean is part of the program: %v", commit, declared)
		}
		if commit && got.F32()[0] != want {
			t.Errorf("running mean is %g, want %g", got.F32()[0], want)
		}
	}
}

// TestBatchNormShared holds that a layer that is applied twice in one pass updates its statistics
// twice, as in PyTorch.
func TestBatchNormShared(t *testing.T) {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(1))
	p := nn.NewPass(b, nn.Train)
	for range 2 {
		p.Apply("bn", nn.BatchNorm{Momentum: 0.5}, x)
	}
	b.Output("mean", p.Stats["bn.running_mean"])
	out, _ := golden.Run(t, program(t, b), map[string]array.Tensor{"bn.running_mean": f32(t, []float32{10})}, f32(t, []float32{1, 3, 5, 7}, 4, 1))
	if got := out["mean"].F32()[0]; got != 5.5 { // (10+4)/2 = 7, (7+4)/2 = 5.5
		t.Errorf("running mean is %g, want 5.5", got)
	}
}

// TestBatchNormOfOne holds that the running variance does not become NaN for a single value, which
// has no unbiased variance.
func TestBatchNormOfOne(t *testing.T) {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(1))
	p := nn.NewPass(b, nn.Train)
	b.Output("y", p.Apply("bn", nn.BatchNorm{}, x))
	b.Output("var", p.Stats["bn.running_var"])
	out, _ := golden.Run(t, program(t, b), state(t), f32(t, []float32{7}, 1, 1))
	if y, v := out["y"].F32()[0], out["var"].F32()[0]; y != 0 || v != 90 {
		t.Errorf("y and running variance are %g and %g, want 0 and 90", y, v)
	}
}
