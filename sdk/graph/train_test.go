package graph_test

import (
	"math"
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// inference returns y = batch_norm_infer(x) for x [N 2], with statistics in the given slots.
func inference(t *testing.T, mean, variance string, twice bool) *graph.Program {
	t.Helper()
	b := graph.NewBuilder()
	stat := func(name string) graph.Node {
		return b.Slot(graph.Slot{Name: name, Kind: graph.Stat, Type: graph.Type{DType: array.F32, Shape: graph.Of(2)}})
	}
	param := func(name string) graph.Node {
		return b.Slot(graph.Slot{Name: name, Kind: graph.Param, Role: graph.Norm, Type: graph.Type{DType: array.F32, Shape: graph.Of(2)}})
	}
	x := b.Input("x", array.F32, graph.Batch(2))
	gamma, beta, m, v := param("gamma"), param("beta"), stat(mean), stat(variance)
	y := b.BatchNormInfer(x, gamma, beta, m, v, 1e-5)
	if twice {
		y = b.BatchNormInfer(y, gamma, beta, m, v, 1e-5)
	}
	b.Output("y", y)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTrainBatchNorm compares outputs and next statistics with the formula, in float64.
func TestTrainBatchNorm(t *testing.T) {
	p, err := inference(t, "mean", "var", false).TrainBatchNorm(.25)
	if err != nil {
		t.Fatal(err)
	}
	if p.Count(graph.OpBatchNormInfer) != 0 || p.Count(graph.OpBatchNorm) != 1 || len(p.Updates) != 2 {
		t.Fatalf("the training form is\n%v", p)
	}
	session, err := reference.New().NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for name, v := range map[string][]float32{"gamma": {2, 1}, "beta": {0, 1}, "mean": {10, 20}, "var": {3, 5}} {
		x, err := array.From(v)
		if err == nil {
			err = session.Set(t.Context(), name, array.DenseValue(x))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := session.Compile(t.Context(), p, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := array.From([]float32{1, 4, 3, 8, 8, 0}, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Run(t.Context(), []array.Tensor{x}, nil)
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got float32, want float64) {
		if math.Abs(float64(got)-want) > 1e-5 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	// channel 0: 1, 3, 8 has mean 4 and variance 26/3; channel 1: 4, 8, 0 has mean 4 and variance
	// 32/3
	near("y[0,0]", out[0].F32()[0], 2*(1-4)/math.Sqrt(26./3+1e-5))
	near("y[2,1]", out[0].F32()[5], (0-4)/math.Sqrt(32./3+1e-5)+1)
	for name, want := range map[string][2]float64{"mean": {.75*10 + .25*4, .75*20 + .25*4}, "var": {.75*3 + .25*13, .75*5 + .25*16}} {
		got, err := session.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		near(name+"[0]", got.F32()[0], want[0])
		near(name+"[1]", got.F32()[1], want[1])
	}
}

func TestTrainBatchNormTwice(t *testing.T) {
	if _, err := inference(t, "mean", "var", true).TrainBatchNorm(.1); err == nil || !strings.Contains(err.Error(), "repeated") {
		t.Errorf("one statistic of two batch norms: error %v, want one", err)
	}
}
