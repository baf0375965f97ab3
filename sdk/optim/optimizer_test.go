package optim_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/optim"
)

// The trajectories of sdk/golden_test.go compare the optimizers with PyTorch. The tests below
// compare them with closed forms under a constant gradient, in float64.

const rate = 0.1

// nearly is the tolerance of a few float64 operations.
var nearly = cmpopts.EquateApprox(0, 1e-14)

// weights declares two parameters, a kernel [2] and a bias [1], and their gradients.
func weights(b *graph.Builder) (optim.Weights, optim.Grads) {
	declare := func(name string, role graph.Role, n int) (compress.WeightNode, graph.Node) {
		slot := graph.Slot{Name: name, Role: role, Type: graph.Type{DType: array.F64, Shape: graph.Of(n)}}
		return compress.WeightNode{Meta: compress.Meta{Name: name, Role: role, Dims: []int{n}}, W: b.Slot(slot)}, b.Input("g/"+name, array.F64, graph.Of(n))
	}
	kernel, gk := declare("kernel", graph.Kernel, 2)
	bias, gb := declare("bias", graph.Bias, 1)
	return optim.Weights{kernel, bias}, optim.Grads{gk, gb}
}

// descend takes steps of an optimizer from weights {1, -2}, {3} with the gradient g, and returns
// the weights {a, b, c}.
func descend(t *testing.T, o optim.Optimizer, steps int, g [3]float64) []float64 {
	t.Helper()
	b := graph.NewBuilder()
	w, grads := weights(b)
	clock := optim.Clock{LR: b.Input("lr", array.F64, nil), Step: b.Input("step", array.F64, nil)}
	for i, next := range o.Update(b, w, grads, clock) {
		b.Update(w[i].Name, next)
	}
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	s, run := start(t, p)
	for step := range steps {
		run(f64(t, g[0], g[1]), f64(t, g[2]), scalar(t, rate), scalar(t, float64(step+1)))
	}
	var out []float64
	for _, name := range []string{"kernel", "bias"} {
		x, err := s.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, x.F64()...)
	}
	return out
}

// start compiles a program on the reference backend, with the weights' initial values.
func start(t *testing.T, p *graph.Program) (backends.Session, func(in ...array.Tensor) []array.Tensor) {
	t.Helper()
	s, err := reference.New().NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]array.Tensor{"kernel": f64(t, 1, -2), "bias": f64(t, 3)} {
		if err := s.Set(t.Context(), name, array.DenseValue(v)); err != nil {
			t.Fatal(err)
		}
	}
	e, err := s.Compile(t.Context(), p, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s, func(in ...array.Tensor) []array.Tensor {
		t.Helper()
		out, err := e.Run(t.Context(), in, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func f64(t *testing.T, v ...float64) array.Tensor {
	t.Helper()
	x, err := array.From(v, len(v))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func scalar(t *testing.T, v float64) array.Tensor {
	t.Helper()
	x, err := array.Scalar(array.F64, v)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// moved returns {1, -2, 3} moved against the gradient by the given distances.
func moved(a, b, c float64) []float64 { return []float64{1 - a, -2 - b, 3 - c} }

func TestOptimizers(t *testing.T) {
	one, none := [3]float64{1, 1, 1}, [3]float64{}
	g := [3]float64{3, -4, 12} // of norm 13
	kernel, rest := optim.SGD{WeightDecay: 0.5}, optim.SGD{Momentum: 0.5}
	shrunk := math.Pow(1-rate*0.5, 3)
	for name, c := range map[string]struct {
		optimizer optim.Optimizer
		steps     int
		g         [3]float64
		want      []float64
	}{
		"gradient descent": {optim.SGD{}, 3, g, moved(.9, -1.2, 3.6)},
		// 1 + 1.5 + 1.75 velocities
		"momentum": {optim.SGD{Momentum: .5}, 3, one, moved(.425, .425, .425)},
		// 1.5 + 1.75 + 1.875
		"nesterov":     {optim.SGD{Momentum: .5, Nesterov: true}, 3, one, moved(.5125, .5125, .5125)},
		"weight decay": {optim.SGD{WeightDecay: .5}, 3, none, []float64{shrunk, -2 * shrunk, 3 * shrunk}},
		// both moments equal the gradient's
		"adam":                       {optim.Adam{Eps: 1}, 4, g, moved(.4*3/4, -.4*4/5, .4*12/13)},
		"adam, slow moments":         {optim.Adam{Beta1: .1, Beta2: .2, Eps: 1}, 4, g, moved(.4*3/4, -.4*4/5, .4*12/13)},
		"adamw shrinks first":        {optim.AdamW{WeightDecay: .5}, 3, none, []float64{shrunk, -2 * shrunk, 3 * shrunk}},
		"adam's decay is a gradient": {optim.Adam{WeightDecay: .5, Eps: 1}, 1, none, moved(rate*.5/1.5, -rate*1/2, rate*1.5/2.5)},
		"clipped":                    {optim.Clip{MaxNorm: 1, Optimizer: optim.SGD{}}, 1, g, moved(.3/(13+1e-6), -.4/(13+1e-6), 1.2/(13+1e-6))},
		"not clipped":                {optim.Clip{MaxNorm: 14, Optimizer: optim.SGD{}}, 3, g, descend(t, optim.SGD{}, 3, g)},
		"nothing to clip":            {optim.Clip{MaxNorm: 1, Optimizer: optim.SGD{}}, 1, none, moved(0, 0, 0)},
		"groups": {optim.Groups{{Name: "kernels", Match: compress.Meta.Prunable, Optimizer: kernel}, {Name: "rest", Optimizer: rest}}, 3, [3]float64{0, 0, 1},
			[]float64{shrunk, -2 * shrunk, 3 - .425}},
		"the first group that matches": {optim.Groups{{Name: "all", Optimizer: optim.SGD{}}, {Name: "kernels", Match: compress.Meta.Prunable, Optimizer: kernel}}, 1, none, moved(0, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, descend(t, c.optimizer, c.steps, c.g), nearly); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestGroupsWithoutAGroup holds that the error for a parameter without a group names the parameter.
func TestGroupsWithoutAGroup(t *testing.T) {
	b := graph.NewBuilder()
	w, g := weights(b)
	gs := optim.Groups{{Name: "kernels", Match: compress.Meta.Prunable, Optimizer: optim.SGD{}}}
	gs.Update(b, w, g, optim.Clock{LR: b.Input("lr", array.F64, nil), Step: b.Input("step", array.F64, nil)})
	_, err := b.Program()
	wantFault(t, gs, err, `"bias"`, "groups(kernels: sgd", "without Match")
}

// TestAscend compares the moves with θ + ρ·g and θ + ρ·g/(‖g‖+1e-12).
func TestAscend(t *testing.T) {
	for move, want := range map[optim.Ascend][]float64{
		{Rho: 0}:                   moved(0, 0, 0),
		{Rho: .5}:                  moved(-1.5, 2, -6),
		{Rho: 13, Normalize: true}: moved(-3, 4, -12),
	} {
		t.Run(move.String(), func(t *testing.T) {
			b := graph.NewBuilder()
			w, g := weights(b)
			for i, s := range move.Apply(b, w, []optim.Grads{g}) {
				b.Output(w[i].Name, b.Scale(s.W, 1))
			}
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			_, run := start(t, p)
			out := run(f64(t, 3, -4), f64(t, 12))
			got := append(append([]float64{}, out[0].F64()...), out[1].F64()...)
			// for the 1e-12
			if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-11)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCombine mixes the gradients of two points.
func TestCombine(t *testing.T) {
	for _, c := range []struct {
		mix  []float64
		want []float64
	}{
		{[]float64{1, 0}, []float64{3, -4, 12}}, {[]float64{0, 1}, []float64{30, -40, 120}},
		{[]float64{1, 1}, []float64{33, -44, 132}}, {[]float64{-2, .5}, []float64{9, -12, 36}},
	} {
		t.Run(fmt.Sprint(c.mix), func(t *testing.T) {
			b := graph.NewBuilder()
			_, first := weights(b)
			second := optim.Grads{b.Scale(first[0], 10), b.Scale(first[1], 10)}
			for i, g := range (optim.Method{Mix: c.mix}).Combine(b, []optim.Grads{first, second}) {
				b.Output([]string{"kernel", "bias"}[i], b.Scale(g, 1))
			}
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			_, run := start(t, p)
			out := run(f64(t, 3, -4), f64(t, 12))
			if diff := cmp.Diff(c.want, append(append([]float64{}, out[0].F64()...), out[1].F64()...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNames holds the texts, which are part of a network's recipe and identify the training of a
// checkpoint.
func TestNames(t *testing.T) {
	multi := optim.CrAMPlus(0.2, compress.TopK(.5), compress.NM{N: 2, M: 4})
	multi.Points[1].Refresh, multi.Points[1].DenseGradient = 20, true
	for _, c := range []struct {
		value fmt.Stringer
		want  string
	}{
		{optim.Plain(), "plain 1·∇(θ)"},
		{optim.SAM(.05), "sam 0·∇(θ) + 1·∇(θ+0.05·g/‖g‖)"},
		{optim.CrAM(.1, compress.TopK(.9)), "cram 0·∇(θ) + 1·∇(C(θ+0.1·g)) C∈{topk:0.9}"},
		{multi, "cram+ 1·∇(θ) + 1·∇(C(θ+0.2·g)) C∈{topk:0.5, nm:2:4} refresh 20 dense gradient"},
		{optim.SGD{Momentum: .9, WeightDecay: 5e-4}, "sgd(momentum=0.9 weight_decay=0.0005 nesterov=false)"},
		{optim.Adam{}, "adam(beta1=0.9 beta2=0.999 eps=1e-08 weight_decay=0)"},
		{optim.AdamW{WeightDecay: .01}, "adamw(beta1=0.9 beta2=0.999 eps=1e-08 weight_decay=0.01)"},
		{optim.Clip{MaxNorm: 1, Optimizer: optim.SGD{}}, "clip(1, sgd(momentum=0 weight_decay=0 nesterov=false))"},
		{optim.Groups{{Name: "a", Optimizer: optim.Adam{}}, {Name: "b", Optimizer: optim.SGD{}}}, "groups(a: adam(beta1=0.9 beta2=0.999 eps=1e-08 weight_decay=0); b: sgd(momentum=0 weight_decay=0 nesterov=false))"},
	} {
		if got := c.value.String(); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}
