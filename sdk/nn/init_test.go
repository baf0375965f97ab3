package nn_test

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

func decl(name string, init nn.Init, dims ...int) nn.Decl {
	return nn.Decl{Slot: graph.Slot{Name: name, Type: graph.Type{DType: array.F32, Shape: graph.Of(dims...)}}, Init: init}
}

// TestInitialIsStable holds that initial values are the same on all platforms and in all versions.
// A training is repeatable only if they never change.
func TestInitialIsStable(t *testing.T) {
	for _, c := range []struct {
		name string
		init nn.Init
		want uint64
	}{
		{"uniform", nn.KaimingUniform, 0x6e50bfed5684b190},
		{"normal", nn.KaimingNormal, 0x620eb86aec385f46},
	} {
		values, err := nn.Initial([]nn.Decl{decl("conv1.weight", c.init, 16, 15, 3, 3)}, 10)
		if err != nil {
			t.Fatal(err)
		}
		h := fnv.New64a()
		for _, v := range values["conv1.weight"].F32() {
			bits := math.Float32bits(v)
			h.Write([]byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
		}
		if got := h.Sum64(); got != c.want {
			t.Errorf("%s: hash of the values is %#x, want %#x", c.name, got, c.want)
		}
	}
}

// TestInitialByName holds that a value depends only on the seed and the name.
func TestInitialByName(t *testing.T) {
	initial := func(seed uint64, decls ...nn.Decl) map[string]array.Tensor {
		values, err := nn.Initial(decls, seed)
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	a, b := decl("a", nn.Normal(1), 5), decl("b", nn.Normal(1), 5)
	both := initial(1, a, b)
	if d := cmp.Diff(both["b"].F32(), initial(1, b)["b"].F32()); d != "" {
		t.Error("b depends on a:", d)
	}
	if cmp.Equal(both["a"].F32(), both["b"].F32()) {
		t.Error("a and b are equal")
	}
	if cmp.Equal(both["a"].F32(), initial(2, a)["a"].F32()) {
		t.Error("seeds 1 and 2 give equal values")
	}
}

func TestInitialMistakes(t *testing.T) {
	symbolic := decl("w", nn.Constant(0))
	symbolic.Shape = graph.Batch(2)
	double := decl("w", nn.Constant(0), 2)
	double.DType = array.F64
	for name, d := range map[string]nn.Decl{"symbolic": symbolic, "f64": double, "no init": decl("w", nil, 2), "empty": decl("w", nn.Constant(0), 0)} {
		if _, err := nn.Initial([]nn.Decl{d}, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestDistributions holds that 90,000 draws have the mean, deviation, bounds and kurtosis of the
// distribution. The tolerances are five standard errors or more.
func TestDistributions(t *testing.T) {
	dims := []int{100, 50, 3, 6}
	fanIn, fanOut := 50*18.0, 100*18.0
	for _, c := range []struct {
		name          string
		init          nn.Init
		std, kurtosis float64
		bound         float64
	}{
		{"Uniform", nn.Uniform(0.7), 0.7 / math.Sqrt(3), 1.8, 0.7},
		{"Normal", nn.Normal(0.3), 0.3, 3, math.Inf(1)},
		{"KaimingUniform", nn.KaimingUniform, math.Sqrt(1 / (3 * fanIn)), 1.8, 1 / math.Sqrt(fanIn)},
		{"KaimingNormal", nn.KaimingNormal, math.Sqrt(2 / fanOut), 3, math.Inf(1)},
	} {
		v := make([]float32, array.Count(dims))
		c.init(rand.New(rand.NewPCG(1, 2)), dims, v)
		n := float64(len(v))
		var m1, m2, m4, most float64
		for _, x := range v {
			z := float64(x) / c.std
			m1, m2, m4 = m1+z/n, m2+z*z/n, m4+z*z*z*z/n
			most = max(most, math.Abs(float64(x)))
		}
		if math.Abs(m1) > 5/math.Sqrt(n) || math.Abs(m2-1) > 0.025 || math.Abs(m4/(m2*m2)-c.kurtosis) > 0.085 {
			t.Errorf("%s: mean %g, variance %g, kurtosis %g in units of the wanted deviation; want 0, 1, %g", c.name, m1, m2, m4/(m2*m2), c.kurtosis)
		}
		if most > c.bound || most < 0.99*c.bound && !math.IsInf(c.bound, 1) {
			t.Errorf("%s: largest magnitude %g, want just under %g", c.name, most, c.bound)
		}
	}
	v := make([]float32, 3)
	nn.Constant(1.5)(nil, nil, v)
	if d := cmp.Diff([]float32{1.5, 1.5, 1.5}, v); d != "" {
		t.Error(d)
	}
}
