package optim_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/optim"
)

var nan, inf = math.NaN(), math.Inf(1)

// wantFault fails if err does not contain all of the given texts on one line, or is not nil when
// there are none. It also fails if err has the package's name twice.
func wantFault(t *testing.T, of any, err error, says ...string) {
	t.Helper()
	if len(says) == 0 {
		if err != nil {
			t.Errorf("%v: %v", of, err)
		}
		return
	}
	if err != nil && (strings.Count(err.Error(), "optim: ") != 1 || strings.Contains(err.Error(), "\n")) {
		t.Errorf("%q: want the package's name once and no line end", err)
	}
	for _, s := range says {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%v: error %v does not contain %q", of, err, s)
		}
	}
}

func TestCheckOptimizer(t *testing.T) {
	sgd := optim.SGD{Momentum: 0.9}
	for _, c := range []struct {
		optimizer interface{ Check() error }
		says      []string
	}{
		{optim.SGD{}, nil},
		{optim.SGD{Momentum: 0.9, WeightDecay: 5e-4, Nesterov: true}, nil},
		{optim.SGD{Momentum: 1}, []string{"sgd(momentum=1", "Momentum is 1"}},
		{optim.SGD{Momentum: -0.1}, []string{"Momentum is -0.1"}},
		{optim.SGD{Momentum: nan, WeightDecay: -1}, []string{"Momentum is NaN", "WeightDecay is -1"}},
		{optim.SGD{WeightDecay: inf}, []string{"WeightDecay is +Inf"}},
		{optim.SGD{Nesterov: true}, []string{"Nesterov is set without Momentum"}},
		{optim.Adam{}, nil},
		{optim.Adam{Beta1: 1}, []string{"adam(beta1=1", "Beta1 is 1"}},
		{optim.Adam{Beta2: -0.5, Eps: -1}, []string{"Beta2 is -0.5", "Eps is -1"}},
		{optim.AdamW{WeightDecay: 0.01}, nil},
		{optim.AdamW{Beta1: nan, WeightDecay: nan}, []string{"adamw(", "Beta1 is NaN", "WeightDecay is NaN"}},
		{optim.Clip{MaxNorm: 1, Optimizer: sgd}, nil},
		{optim.Clip{MaxNorm: 0, Optimizer: sgd}, []string{"MaxNorm is 0"}},
		{optim.Clip{MaxNorm: nan, Optimizer: optim.SGD{Momentum: 2}}, []string{"MaxNorm is NaN", "Momentum is 2"}},
		{optim.Clip{MaxNorm: 1}, []string{"Optimizer is nil"}},
		{optim.Groups{{Name: "all", Optimizer: sgd}}, nil},
		{optim.Groups{}, []string{"there is no group"}},
		{optim.Groups{{Name: "some", Optimizer: optim.SGD{Momentum: 3}}, {Name: "rest"}}, []string{`group "some"`, "Momentum is 3", `group "rest"`, "Optimizer is nil"}},
		{optim.Groups{{Name: "rest", Optimizer: unchecked{}}}, nil},
	} {
		wantFault(t, c.optimizer, c.optimizer.Check(), c.says...)
	}
}

// unchecked is an optimizer without the method Check.
type unchecked struct{}

func (unchecked) String() string { return "unchecked" }
func (unchecked) Update(_ *graph.Builder, w optim.Weights, _ optim.Grads, _ optim.Clock) []graph.Node {
	next := make([]graph.Node, len(w))
	for i := range w {
		next[i] = w[i].W
	}
	return next
}

func TestCheckSchedule(t *testing.T) {
	length := optim.Progress{Epochs: 5, Steps: 50}
	for _, c := range []struct {
		schedule interface{ Check(optim.Progress) error }
		says     []string
	}{
		{optim.Constant(0.1), nil},
		{optim.Constant(-0.1), []string{"rate is -0.1"}},
		{optim.Constant(nan), []string{"rate is NaN"}},
		{optim.Cosine{Peak: 0.1, WarmupEpochs: 5}, nil},
		{optim.Cosine{}, []string{"Peak is 0"}},
		{optim.Cosine{Peak: inf, WarmupEpochs: 6}, []string{"Peak is +Inf", "WarmupEpochs is 6 epochs", "0 to 5"}},
		{optim.Cosine{Peak: 1, WarmupEpochs: -1}, []string{"WarmupEpochs is -1"}},
		{optim.Linear{Peak: 1, WarmupSteps: 50}, nil},
		{optim.Linear{Peak: -1, WarmupSteps: 51}, []string{"Peak is -1", "WarmupSteps is 51 steps", "0 to 50"}},
		{optim.MultiStep{Base: 1, Milestones: []int{3}, Gamma: 0.1}, nil},
		{optim.MultiStep{Milestones: []int{1, -3}, Gamma: nan}, []string{"Base is 0", "Gamma is NaN", "Milestones[1] is epoch -3"}},
	} {
		wantFault(t, c.schedule, c.schedule.Check(length), c.says...)
	}
}

func TestCheckMethod(t *testing.T) {
	topk := compress.TopK(.5)
	points := func(p ...optim.Point) optim.Method {
		return optim.Method{Name: "own", Points: p, Mix: make([]float64, len(p))}
	}
	mixed := func(mix ...float64) optim.Method {
		m := optim.CrAMPlus(.1, topk)
		m.Mix = mix
		return m
	}
	refresh := optim.CrAM(.1, topk)
	refresh.Points[1].Refresh = -1
	for _, c := range []struct {
		method optim.Method
		says   []string
	}{
		{optim.Plain(), nil}, {optim.SAM(0), nil}, {optim.CrAM(.1), nil}, {optim.CrAMPlus(.1, topk, compress.Identity{}), nil},
		{optim.Method{Name: "none"}, []string{`method "none"`, "0 points"}},
		{mixed(1), []string{"1 factors and 2 points"}},
		{mixed(0, 0), []string{"all factors in Mix are 0"}},
		{mixed(1, nan), []string{"want a finite Mix[1], got NaN"}},
		{points(optim.Point{Move: optim.Ascend{Rho: 1}}), []string{"the first point moves"}},
		{refresh, []string{"want Refresh of 0 or more, got -1"}},
		{optim.CrAM(.1, topk, nil), []string{"point 1", "compressor is nil"}},
		{optim.CrAM(.1, topk, compress.TopK(1.5)), []string{"point 1", "topk:1.5", "0 (keep all) to 1"}},
		{optim.CrAM(.1, compress.Block{Size: -1}), []string{"block-1:0", "at least 1"}},
		{optim.CrAM(.1, compress.NM{N: 4, M: 2}), []string{"nm:4:2", "1 ≤ N ≤ M"}},
		{optim.CrAM(.1, compress.Only(compress.Uniform(-1), "conv*")), []string{"only(conv*):uniform:-1", "0 (keep all) to 1"}},
		{optim.CrAM(.1, compress.Func("own", nil)), []string{"own", "a function"}},
		{optim.CrAM(.1, picky{topk}), []string{"picky", "never"}},
		{optim.SAM(-.1), []string{"point 1", "Rho is -0.1"}},
		{optim.CrAMPlus(nan, topk), []string{"Rho is NaN"}},
		{optim.CrAM(inf), []string{"Rho is +Inf"}},
	} {
		wantFault(t, c.method, c.method.Check(), c.says...)
	}
	boom := errors.New("boom")
	own := points(optim.Point{}, optim.Point{Move: failing{boom}})
	own.Mix[1] = 1
	if err := own.Check(); !errors.Is(err, boom) {
		t.Errorf("Check of a Move is not called: %v", err)
	}
}

// picky is a compressor whose settings are always wrong.
type picky struct{ compress.Compressor }

func (picky) String() string { return "picky" }
func (picky) Check() error   { return errors.New("never") }

// failing is a move whose settings are always wrong.
type failing struct{ err error }

func (failing) String() string { return "failing" }
func (f failing) Check() error { return f.err }
func (failing) Apply(_ *graph.Builder, w optim.Weights, _ []optim.Grads) optim.Weights {
	return w
}
