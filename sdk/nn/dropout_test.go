package nn_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/internal/golden"
)

// TestDropout holds that a dropout zeroes the fraction P of its input and scales the rest, with a
// mask that depends on key and layer. The input is ones, so outputs and gradients are masks times
// 1/(1-P).
func TestDropout(t *testing.T) {
	const n, p = 4096, 0.25
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(n))
	key := b.Input("key", array.I64, graph.Of(2))
	pass := func(mode nn.Mode) *nn.Pass {
		pass := nn.NewPass(b, mode)
		pass.Key = key
		return pass
	}
	train, again := pass(nn.Train), pass(nn.Train)
	y := nn.Dropout{P: p}.Forward(train, x)
	b.Output("first", y)
	b.Output("second", nn.Dropout{P: p}.Forward(train.At("inner"), x))
	b.Output("again", nn.Dropout{P: p}.Forward(again, x))
	b.Output("infer", nn.Dropout{P: p}.Forward(pass(nn.Infer), x))
	b.Output("zero", nn.Dropout{}.Forward(train, x))
	b.Output("gradient", b.Grad(b.Sum(y, false), x)[0])
	prog := program(t, b)

	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	run := func(step int64) map[string]array.Tensor {
		key, err := array.From([]int64{7, step})
		if err != nil {
			t.Fatal(err)
		}
		out, _ := golden.Run(t, prog, nil, f32(t, ones, 1, n), key)
		return out
	}
	out, next := run(1), run(2)

	kept := 0
	for i, v := range out["first"].F32() {
		switch v {
		case 0:
		case float32(1 / (1 - p)):
			kept++
		default:
			t.Fatalf("element %d is %g, want 0 or %g", i, v, 1/(1-p))
		}
	}
	// Six standard deviations of a binomial count. The key is fixed, so the result never changes.
	if want, sd := n*(1-p), math.Sqrt(n*p*(1-p)); math.Abs(float64(kept)-want) > 6*sd {
		t.Errorf("%d of %d kept, want %g ± %g", kept, n, want, 6*sd)
	}
	first := out["first"].F32()
	for name, other := range map[string][]float32{"another dropout": out["second"].F32(), "another step": next["first"].F32()} {
		if cmp.Equal(first, other) {
			t.Errorf("%s draws the same", name)
		}
	}
	for name, other := range map[string][]float32{"another pass": out["again"].F32(), "gradient": out["gradient"].F32()} {
		if !cmp.Equal(first, other) {
			t.Errorf("%s draws something else", name)
		}
	}
	for _, name := range []string{"infer", "zero"} {
		if !cmp.Equal(ones, out[name].F32()) {
			t.Errorf("%s changes its input", name)
		}
	}
}

func TestDropoutWithoutKey(t *testing.T) {
	b := graph.NewBuilder()
	p := nn.NewPass(b, nn.Train)
	p.Apply("drop", nn.Dropout{P: 0.5}, b.Input("x", array.F32, graph.Batch(2)))
	if p.Err() == nil {
		t.Error("no error")
	}
}
