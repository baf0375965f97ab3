package step

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/optim"
)

var testSGD = optim.SGD{Momentum: 0.9, WeightDecay: 5e-4}

// TestRhoZero holds that, for ρ = 0 and C the identity, CrAM has the bits of its optimizer without
// CrAM, and CrAM+ those of the optimizer with a doubled gradient of the loss. Weight decay is not
// doubled.
func TestRhoZero(t *testing.T) {
	doubled := optim.Plain()
	doubled.Mix = []float64{2}
	for name, pair := range map[string][2]optim.Method{
		"cram":       {optim.CrAM(0, compress.Identity{}), optim.Plain()},
		"cram, no C": {optim.CrAM(0), optim.Plain()},
		"cram+":      {optim.CrAMPlus(0, compress.Identity{}), doubled},
	} {
		for _, optimizer := range []optim.Optimizer{testSGD, optim.AdamW{WeightDecay: 0.05}} {
			t.Run(name+" "+optimizer.String(), func(t *testing.T) {
				got := runGolden(t, goldenVariant{pair[0], optimizer, 0.05, nil}, array.F32, 10, nil)
				want := runGolden(t, goldenVariant{pair[1], optimizer, 0.05, nil}, array.F32, 10, nil)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
	plain := runGolden(t, goldenVariant{optim.Plain(), testSGD, 0.05, nil}, array.F32, 10, nil)
	if cmp.Equal(plain, runGolden(t, goldenVariant{doubled, testSGD, 0.05, nil}, array.F32, 10, nil)) {
		t.Error("a doubled gradient changes nothing: the test cannot fail")
	}
}

// TestGradientEvaluations holds that a step computes one gradient for each point, by the number of
// weight gradients of the two convolutions. Segments before the last update scratch slots only.
func TestGradientEvaluations(t *testing.T) {
	topk := compress.TopK(.5)
	for name, c := range map[string]struct {
		method optim.Method
		want   int
	}{
		"plain":        {optim.Plain(), 1},
		"sam":          {optim.SAM(.05), 2},
		"cram":         {optim.CrAM(.05, topk), 2},
		"cram+":        {optim.CrAMPlus(.05, topk), 2},
		"cram+ multi":  {optim.CrAMPlus(.05, topk, compress.NM{N: 2, M: 4}), 2},
		"cram+ host":   {optim.CrAMPlus(.05, hostOnly(topk)), 2},
		"cram+ reused": {optim.CrAMPlus(.05, topk), 2},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoldenRun(t, goldenVariant{c.method, testSGD, 0.05, nil}, array.F32)
			points := len(c.method.Points)
			v := Variant{make([]int, points), make([]bool, points)}
			for i := range v.fresh {
				v.fresh[i] = name != "cram+ reused"
			}
			segments, err := g.recipe.lower(v)
			if err != nil {
				t.Fatal(err)
			}
			got := 0
			for i, s := range segments {
				if s.program == nil {
					continue
				}
				got += s.program.Count(graph.OpConv2DDW)
				for _, u := range s.program.Updates {
					if slot, _ := s.program.Slot(u.Slot); i < len(segments)-1 && slot.Kind != graph.Scratch {
						t.Errorf("segment %d of %d writes %s, a %v", i, len(segments), u.Slot, slot.Kind)
					}
				}
			}
			if got != 2*c.want {
				t.Errorf("%d convolution weight gradients for 2 convolutions, want %d", got, 2*c.want)
			}
		})
	}
}

// TestCleanPassMovesStatistics holds that the running statistics after one step are those of SGD
// for all methods, because only the pass at the weights moves them.
func TestCleanPassMovesStatistics(t *testing.T) {
	statistics := func(e optim.Method) map[string][]float64 {
		g := newGoldenRun(t, goldenVariant{e, testSGD, 0.05, nil}, array.F32)
		if _, err := g.step(); err != nil {
			t.Fatal(err)
		}
		all := g.slots()
		for name := range all {
			if !strings.Contains(name, "running") {
				delete(all, name)
			}
		}
		return all
	}
	want := statistics(optim.Plain())
	if len(want) != 4 {
		t.Fatalf("%d statistics, want 4", len(want))
	}
	for _, e := range []optim.Method{optim.SAM(.5), optim.CrAM(.5, compress.TopK(.9)), optim.CrAMPlus(.5, compress.TopK(.9)), optim.CrAMPlus(.5, hostOnly(compress.TopK(.9)))} {
		if diff := cmp.Diff(want, statistics(e)); diff != "" {
			t.Errorf("%v: %s", e, diff)
		}
	}
}

// TestFailedStepChangesNothing holds that an error or a wrong result of a compressor in the middle
// of a step leaves every parameter and statistic unchanged.
func TestFailedStepChangesNothing(t *testing.T) {
	boom := errors.New("boom")
	nan := func(w []compress.Weight) []compress.Compressed {
		out := make([]compress.Compressed, len(w))
		out[0].Values = w[0].Data.Clone()
		out[0].Values.F32()[0] /= 0 * out[0].Values.F32()[0]
		return out
	}
	failing := false
	for name, result := range map[string]func([]compress.Weight) ([]compress.Compressed, error){
		"error":       func([]compress.Weight) ([]compress.Compressed, error) { return nil, boom },
		"wrong count": func(w []compress.Weight) ([]compress.Compressed, error) { return make([]compress.Compressed, 1), nil },
		"nan":         func(w []compress.Weight) ([]compress.Compressed, error) { return nan(w), nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := compress.Func("sometimes", func(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
				if failing {
					return result(w)
				}
				return compress.TopK(.5).Compress(ctx, w)
			})
			g := newGoldenRun(t, goldenVariant{optim.CrAMPlus(.1, c), testSGD, 0.05, nil}, array.F32)
			failing = false
			if _, err := g.step(); err != nil {
				t.Fatal(err)
			}
			before := g.slots()
			failing = true
			if _, err := g.step(); err == nil || !strings.Contains(err.Error(), "sometimes") {
				t.Fatalf("got error %v, want one that names the compressor", err)
			}
			if diff := cmp.Diff(before, g.slots()); diff != "" {
				t.Error(diff)
			}
			failing = false
			if _, err := g.step(); err != nil {
				t.Error("a later step fails:", err)
			}
		})
	}
}
