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

// holds fails unless err is nil where nothing is to be said, and says all of it elsewhere.
func holds(t *testing.T, of any, err error, says ...string) {
	t.Helper()
	if len(says) == 0 {
		if err != nil {
			t.Errorf("%v: %v", of, err)
		}
		return
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			if strings.Count(": "+line, ": optim: ") > 1 {
				t.Errorf("%q says optim twice", line)
			}
		}
	}
	for _, s := range says {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%v: error %v does not say %q", of, err, s)
		}
	}
}

func TestCheckRule(t *testing.T) {
	sgd := optim.SGD{Momentum: 0.9}
	for _, c := range []struct {
		rule optim.Optimizer
		says []string
	}{
		{optim.SGD{}, nil},
		{optim.SGD{Momentum: 0.9, WeightDecay: 5e-4, Nesterov: true}, nil},
		{optim.SGD{Momentum: 1}, []string{"sgd(momentum=1", "Momentum is 1"}},
		{optim.SGD{Momentum: -0.1}, []string{"Momentum is -0.1"}},
		{optim.SGD{Momentum: nan, WeightDecay: -1}, []string{"Momentum is NaN", "WeightDecay is -1"}},
		{optim.SGD{WeightDecay: inf}, []string{"WeightDecay is +Inf"}},
		{optim.SGD{Nesterov: true}, []string{"Nesterov without Momentum"}},
		{optim.Adam{}, nil},
		{optim.Adam{Beta1: 1}, []string{"adam(beta1=1", "Beta1 is 1"}},
		{optim.Adam{Beta2: -0.5, Eps: -1}, []string{"Beta2 is -0.5", "Eps is -1"}},
		{optim.AdamW{WeightDecay: 0.01}, nil},
		{optim.AdamW{Beta1: nan, WeightDecay: nan}, []string{"adamw(", "Beta1 is NaN", "WeightDecay is NaN"}},
		{optim.Clip{MaxNorm: 1, Optimizer: sgd}, nil},
		{optim.Clip{MaxNorm: 0, Optimizer: sgd}, []string{"MaxNorm is 0"}},
		{optim.Clip{MaxNorm: nan, Optimizer: optim.SGD{Momentum: 2}}, []string{"MaxNorm is NaN", "Momentum is 2"}},
		{optim.Clip{MaxNorm: 1}, []string{"rule is nil"}},
		{optim.Groups{{Name: "all", Match: optim.All, Optimizer: sgd}}, nil},
		{optim.Groups{}, []string{"no group"}},
		{optim.Groups{{Name: "some", Optimizer: optim.SGD{Momentum: 3}}, {Name: "rest", Match: optim.All}}, []string{`Match of group "some"`, "Momentum is 3", `group "rest"`, "rule is nil"}},
		{nil, []string{"rule is nil"}},
		{(*optim.SGD)(nil), []string{"rule is nil"}},
		{unchecked{}, nil},
	} {
		holds(t, c.rule, optim.CheckOptimizer(c.rule), c.says...)
	}
}

// unchecked is a rule without a Check.
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
		schedule optim.Schedule
		says     []string
	}{
		{optim.Constant(0.1), nil},
		{optim.Constant(-0.1), []string{"rate is -0.1"}},
		{optim.Constant(nan), []string{"rate is NaN"}},
		{optim.Cosine{Peak: 0.1, Warmup: 5}, nil},
		{optim.Cosine{}, []string{"Peak is 0"}},
		{optim.Cosine{Peak: inf, Warmup: 6}, []string{"Peak is +Inf", "Warmup is 6 epochs", "0 to 5"}},
		{optim.Cosine{Peak: 1, Warmup: -1}, []string{"Warmup is -1"}},
		{optim.Linear{Peak: 1, Warmup: 50}, nil},
		{optim.Linear{Peak: -1, Warmup: 51}, []string{"Peak is -1", "Warmup is 51 steps", "0 to 50"}},
		{optim.MultiStep{Base: 1, Milestones: []int{3}, Gamma: 0.1}, nil},
		{optim.MultiStep{Milestones: []int{1, -3}, Gamma: nan}, []string{"Base is 0", "Gamma is NaN", "Milestones[1] is epoch -3"}},
		{nil, []string{"schedule is nil"}},
		{(*optim.Cosine)(nil), []string{"schedule is nil"}},
	} {
		holds(t, c.schedule, optim.CheckSchedule(c.schedule, length), c.says...)
	}
}

func TestCheckEstimator(t *testing.T) {
	topk := compress.TopK(.5)
	points := func(p ...optim.Point) optim.Method {
		return optim.Method{Name: "own", Points: p, Mix: make([]float64, len(p))}
	}
	mixed := func(mix ...float64) optim.Method {
		e := optim.CrAMPlus(.1, topk)
		e.Mix = mix
		return e
	}
	refresh := optim.CrAM(.1, topk)
	refresh.Points[1].Refresh = -1
	for _, c := range []struct {
		estimator optim.Method
		says      []string
	}{
		{optim.Plain(), nil}, {optim.SAM(0), nil}, {optim.CrAM(.1), nil}, {optim.CrAMPlus(.1, topk, compress.Identity{}), nil},
		{optim.Method{Name: "none"}, []string{`"none"`, "0 points"}},
		{mixed(1), []string{"2 points and 1 mixing weights"}},
		{mixed(0, 0), []string{"mixes no gradient"}},
		{mixed(1, nan), []string{"mixing weight of point 1 is NaN"}},
		{points(optim.Point{Move: optim.Ascend{Rho: 1}}), []string{"the first point moves"}},
		{refresh, []string{"refresh is -1"}},
		{optim.CrAM(.1, topk, nil), []string{"point 1", "compressor is nil"}},
		{optim.CrAM(.1, (*compress.TopK)(nil)), []string{"point 1", "compressor is nil"}},
		{points(optim.Point{}, optim.Point{Move: (*optim.Ascend)(nil)}), []string{"point 1", "Move is a nil *optim.Ascend"}},
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
		holds(t, c.estimator, c.estimator.Check(), c.says...)
	}
	boom := errors.New("boom")
	own := points(optim.Point{}, optim.Point{Move: failing{boom}})
	own.Mix[1] = 1
	if err := own.Check(); !errors.Is(err, boom) {
		t.Errorf("a Move of one's own is not asked: %v", err)
	}
}

// picky is a compressor of one's own whose settings are never right.
type picky struct{ compress.Compressor }

func (picky) String() string { return "picky" }
func (picky) Check() error   { return errors.New("never") }

// failing is a move whose settings are never right.
type failing struct{ err error }

func (failing) String() string { return "failing" }
func (f failing) Check() error { return f.err }
func (failing) Apply(_ *graph.Builder, w optim.Weights, _ []optim.Grads) optim.Weights {
	return w
}
