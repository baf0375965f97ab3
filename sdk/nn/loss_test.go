package nn_test

import (
	"math"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/internal/golden"
)

func TestLosses(t *testing.T) {
	output := []float32{1, 2, 4, -1, 0, 3}
	labels, err := array.From([]int32{2, 0})
	if err != nil {
		t.Fatal(err)
	}
	xent := (math.Log(math.Exp(1)+math.Exp(2)+math.Exp(4)) - 4 + math.Log(math.Exp(-1)+math.Exp(0)+math.Exp(3)) + 1) / 2
	softplus := func(x float64) float64 { return math.Log1p(math.Exp(x)) }
	binary := (softplus(1) - 1 + softplus(2) + softplus(4) - 4 + softplus(-1) + softplus(0) + softplus(3)) / 6
	for _, c := range []struct {
		name   string
		loss   nn.Loss
		d      array.DType
		shape  graph.Shape
		target array.Tensor
		want   float64
	}{
		{"CrossEntropy", nn.CrossEntropy{}, array.I32, graph.Batch(), labels, xent},
		{"MSE", nn.MSE{}, array.F32, graph.Batch(3), f32(t, []float32{1, 2, 2, -1, 3, 0}, 2, 3), (4 + 9 + 9) / 6.0},
		{"BinaryCrossEntropy", nn.BinaryCrossEntropy{}, array.F32, graph.Batch(3), f32(t, []float32{1, 0, 1, 0, .5, 0}, 2, 3), binary},
		{"LossFunc", nn.LossFunc("first", func(p *nn.Pass, output, target graph.Node) graph.Node {
			return p.Mean(p.Mul(output, target), false)
		}), array.F32, graph.Batch(3), f32(t, []float32{1, 0, 0, 0, 0, 2}, 2, 3), 7 / 6.0},
	} {
		b := graph.NewBuilder()
		x := b.Input("output", array.F32, graph.Batch(3))
		b.Output("loss", c.loss.Loss(nn.NewPass(b, nn.Train), x, b.Input("target", c.d, c.shape)))
		out, _ := golden.Run(t, program(t, b), nil, f32(t, output, 2, 3), c.target)
		// float32 results of a handful of operations on values up to 50
		if got := float64(out["loss"].F32()[0]); len(out["loss"].Dims) != 0 || math.Abs(got-c.want) > 1e-5 {
			t.Errorf("%s is %v %g, want the scalar %g", c.name, out["loss"].Dims, got, c.want)
		}
	}
}

// TestBinaryCrossEntropyGradient holds that the gradient is (sigmoid(x) − y)/n, also at 0 and for x
// so large that e^x overflows.
func TestBinaryCrossEntropyGradient(t *testing.T) {
	output := []float32{0, 200, -200, 1.5}
	target := []float32{1, 0, 1, .25}
	b := graph.NewBuilder()
	x := b.Input("output", array.F32, graph.Batch(2))
	loss := nn.BinaryCrossEntropy{}.Loss(nn.NewPass(b, nn.Train), x, b.Input("target", array.F32, graph.Batch(2)))
	b.Output("loss", loss)
	b.Output("grad", b.Grad(loss, x)[0])
	out, _ := golden.Run(t, program(t, b), nil, f32(t, output, 2, 2), f32(t, target, 2, 2))
	for i, got := range out["grad"].F32() {
		want := (1/(1+math.Exp(-float64(output[i]))) - float64(target[i])) / 4
		if math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("gradient at %g for target %g is %g, want %g", output[i], target[i], got, want)
		}
	}
	if l := float64(out["loss"].F32()[0]); math.IsInf(l, 0) || math.IsNaN(l) {
		t.Errorf("the loss is %v", l)
	}
}

// TestLossShapes holds that a loss does not broadcast. With [N] and [N 1] it would compare each
// output with each target.
func TestLossShapes(t *testing.T) {
	for _, loss := range []nn.Loss{nn.MSE{}, nn.BinaryCrossEntropy{}} {
		b := graph.NewBuilder()
		loss.Loss(nn.NewPass(b, nn.Train), b.Input("output", array.F32, graph.Batch(1)), b.Input("target", array.F32, graph.Batch()))
		if err := b.Err(); err == nil || !strings.Contains(err.Error(), "want output and target of one type, got f32[N 1] and f32[N]") {
			t.Errorf("%v: error %v", loss, err)
		}
	}
}

// TestNamed holds that a model reads inputs and adds outputs by name, and that the error for a name
// that does not exist lists the names that do.
func TestNamed(t *testing.T) {
	m := nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		p.At("inner").Output("squares", p.Mul(x, x))
		return p.Mul(x, p.At("inner").Input("mask"))
	})
	if _, out, err := nn.Declare(m, graph.Floats("x", 3), graph.Floats("mask", 3)); err != nil || out.String() != "f32[N 3]" {
		t.Errorf("output %v, error %v", out, err)
	}
	if _, _, err := nn.Declare(m, graph.Floats("x", 3)); err == nil || !strings.Contains(err.Error(), `want the input "mask", the examples have ["x"]`) {
		t.Errorf("error %v", err)
	}
	twice := nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		p.Output("aux", x)
		p.Output("aux", x)
		return x
	})
	if _, _, err := nn.Declare(twice, graph.Floats("x", 3)); err == nil || !strings.Contains(err.Error(), `want a new name for each output, got "aux"`) {
		t.Errorf("error %v", err)
	}
}
