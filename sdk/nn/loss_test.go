package nn_test

import (
	"math"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/internal/golden"
)

func TestLosses(t *testing.T) {
	output := []float32{1, 2, 4, -1, 0, 3}
	labels, err := array.FromI32([]int32{2, 0})
	if err != nil {
		t.Fatal(err)
	}
	xent := (math.Log(math.Exp(1)+math.Exp(2)+math.Exp(4)) - 4 + math.Log(math.Exp(-1)+math.Exp(0)+math.Exp(3)) + 1) / 2
	for _, c := range []struct {
		name   string
		loss   nn.Loss
		d      array.DType
		shape  graph.Shape
		target array.Tensor
		want   float64
	}{
		{"CrossEntropy", nn.CrossEntropy, array.I32, graph.Batch(), labels, xent},
		{"MSE", nn.MSE, array.F32, graph.Batch(3), f32(t, []float32{1, 2, 2, -1, 3, 0}, 2, 3), (4 + 9 + 9) / 6.0},
	} {
		b := graph.NewBuilder()
		x := b.Input("output", array.F32, graph.Batch(3))
		b.Output("loss", c.loss(b, x, b.Input("target", c.d, c.shape)))
		out, _ := golden.Run(t, program(t, b), nil, f32(t, output, 2, 3), c.target)
		// float32 results of a handful of operations on values up to 50
		if got := float64(out["loss"].F32()[0]); len(out["loss"].Dims) != 0 || math.Abs(got-c.want) > 1e-5 {
			t.Errorf("%s is %v %g, want the scalar %g", c.name, out["loss"].Dims, got, c.want)
		}
	}
}
