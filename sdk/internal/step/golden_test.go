package step

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
)

// goldenNet is the network of testdata/golden.py. Data, initial weights and draws are integer
// formulas in both programs.
type goldenNet struct{}

func (goldenNet) Forward(p *nn.Pass, x graph.Node) graph.Node {
	x = p.Apply("conv1", nn.Conv2D{Out: 8, Kernel: 3, Padding: 1, NoBias: true}, x)
	x = nn.ReLU(p, p.Apply("bn1", nn.BatchNorm{}, x))
	x = p.Apply("conv2", nn.Conv2D{Out: 8, Kernel: 3, Padding: 1, Stride: 2, NoBias: true}, x)
	x = nn.ReLU(p, p.Apply("bn2", nn.BatchNorm{}, x))
	return p.Apply("fc", nn.Linear{Out: 4}, nn.GlobalAvgPool(p, x))
}

// formula returns n values ((i·a + b) mod m)/m·2 - 1, as in golden.py.
func formula(n, a, b, m int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64((i*a+b)%m)/float64(m)*2 - 1
	}
	return v
}

func goldenInitial(d nn.Decl, k int) []float64 {
	v := formula(d.Shape.Size().C, 6151, 3571*(k+1), 1999)
	for i := range v {
		if d.Role == graph.Norm && strings.HasSuffix(d.Name, ".weight") {
			v[i] = 1 + 0.25*v[i]
		} else {
			v[i] *= 0.5
		}
	}
	return v
}

type goldenVariant struct {
	method    optim.Method
	optimizer optim.Optimizer
	lr        float64
	frozen    []string
}

func goldenVariants() map[string]goldenVariant {
	sgd := optim.SGD{Momentum: 0.9, WeightDecay: 5e-4}
	plus := func(rho float64, cs ...compress.Compressor) goldenVariant {
		return goldenVariant{method: optim.CrAMPlus(rho, cs...), optimizer: sgd, lr: 0.1}
	}
	infrequent := plus(0.1, compress.TopK(.5), compress.TopK(.9))
	infrequent.method.Points[1].Refresh = 4
	dense := plus(0.1, compress.TopK(.7))
	dense.method.Points[1].DenseGradient = true
	normalized := plus(0.1, compress.TopK(.7))
	normalized.method.Points[1].Move = optim.Ascend{Rho: 0.1, Normalize: true}
	adamw := plus(0.1, compress.TopK(.7))
	adamw.optimizer, adamw.lr = optim.AdamW{WeightDecay: 0.05}, 0.01
	clip := plus(0.1, compress.TopK(.7))
	clip.optimizer = optim.Clip{MaxNorm: 0.05, Optimizer: sgd}
	frozen := plus(0.1, compress.NM{N: 2, M: 4})
	frozen.frozen = []string{"conv2.weight", "bn2.bias"}
	groups := plus(0.1, compress.TopK(.7))
	groups.optimizer = optim.Groups{
		{Name: "kernels", Match: compress.Meta.Prunable, Optimizer: optim.SGD{Momentum: 0.9, WeightDecay: 0.01}},
		{Name: "rest", Optimizer: optim.SGD{Momentum: 0.9}},
	}
	return map[string]goldenVariant{
		"sgd":                    {optim.Plain(), sgd, 0.1, nil},
		"sgd-nesterov":           {optim.Plain(), optim.SGD{Momentum: 0.9, WeightDecay: 5e-4, Nesterov: true}, 0.1, nil},
		"adam":                   {optim.Plain(), optim.Adam{WeightDecay: 5e-4}, 0.01, nil},
		"adamw":                  {optim.Plain(), optim.AdamW{WeightDecay: 0.05}, 0.01, nil},
		"sam":                    {optim.SAM(0.05), sgd, 0.1, nil},
		"cram":                   {optim.CrAM(0.05, compress.TopK(.5)), sgd, 0.1, nil},
		"cram+":                  plus(0.1, compress.TopK(.7)),
		"cram+-multi":            plus(0.1, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9)),
		"cram+-multi-infrequent": infrequent,
		"cram+-dense-gradient":   dense,
		"cram+-normalized":       normalized,
		"cram+-rho0":             plus(0, compress.TopK(.5), compress.TopK(.9)),
		"cram+-uniform":          plus(0.1, compress.Uniform(.7)),
		"cram+-nm":               plus(0.1, compress.NM{N: 2, M: 4}, compress.NM{N: 4, M: 8}),
		"cram+-block4":           plus(0.1, compress.Block{Size: 4, Sparsity: .5}),
		"cram+-adamw":            adamw,
		"cram+-clip":             clip,
		"cram+-frozen":           frozen,
		"cram+-decay-groups":     groups,
	}
}

type trajectory struct {
	Losses []float64
	Final  map[string][]float64
}

func readGolden(t *testing.T) map[string]trajectory {
	t.Helper()
	f, err := os.Open("testdata/golden.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.NewDecoder(z).Decode(&raw); err != nil {
		t.Fatal(err)
	}
	delete(raw, "torch")
	golden := map[string]trajectory{}
	for name, text := range raw {
		var tr trajectory
		if err := json.Unmarshal(text, &tr); err != nil {
			t.Fatal(err)
		}
		golden[name] = tr
	}
	return golden
}

// TestGoldenTrajectories holds that trainings have the losses and weights of PyTorch: 50 steps in
// float64 to 1e-9, which a single other bit of a mask exceeds, and 3 steps in float32 to 2e-5,
// since PyTorch sums convolutions in another order.
func TestGoldenTrajectories(t *testing.T) {
	golden := readGolden(t)
	variants := goldenVariants()
	if len(golden) != 2*len(variants) {
		t.Errorf("golden.json.gz has %d trajectories, want float64 and float32 of %d variants", len(golden), len(variants))
	}
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, runGolden(t, v, array.F64, 50, nil), golden[name], 1e-9)
			compare(t, runGolden(t, v, array.F32, 3, nil), golden[name+"/f32"], 2e-5)
		})
	}
}

// TestGoldenHost holds that trainings have the losses and weights of PyTorch also if the
// compressors have no graph form, so that every step consists of several segments.
func TestGoldenHost(t *testing.T) {
	golden := readGolden(t)
	for _, name := range []string{"cram", "cram+-multi", "cram+-multi-infrequent", "cram+-nm", "cram+-frozen", "cram+-clip"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, runGolden(t, goldenVariants()[name], array.F64, 50, hostOnly), golden[name], 1e-9)
		})
	}
}

// hostOnly returns c without its graph form.
func hostOnly(c compress.Compressor) compress.Compressor {
	return compress.Func("host-"+c.String(), c.Compress)
}

func compare(t *testing.T, got, want trajectory, tolerance float64) {
	t.Helper()
	if len(want.Losses) == 0 || len(want.Final) == 0 {
		t.Fatal("no golden trajectory")
	}
	close := func(what string, got, want []float64) {
		if len(got) != len(want) {
			t.Errorf("%s: %d values, want %d", what, len(got), len(want))
			return
		}
		for i := range want {
			if d := math.Abs(got[i] - want[i]); !(d <= tolerance*max(1, math.Abs(want[i]))) {
				t.Errorf("%s[%d] is %v, want %v (off by %.2g)", what, i, got[i], want[i], d)
				return
			}
		}
	}
	close("loss", got.Losses, want.Losses)
	for name, w := range want.Final {
		close(name, got.Final[name], w)
	}
}

func runGolden(t *testing.T, v goldenVariant, dtype array.DType, steps int, wrap func(compress.Compressor) compress.Compressor) trajectory {
	t.Helper()
	if wrap != nil {
		for i, p := range v.method.Points {
			for j, c := range p.Compress {
				v.method.Points[i].Compress[j] = wrap(c)
			}
		}
	}
	g := newGoldenRun(t, v, dtype)
	var tr trajectory
	for range steps {
		loss, err := g.step()
		if err != nil {
			t.Fatal(err)
		}
		tr.Losses = append(tr.Losses, loss)
	}
	tr.Final = g.slots()
	return tr
}

// goldenRun is a training of goldenNet on the reference backend, with the data and draws of
// golden.py.
type goldenRun struct {
	t *testing.T
	goldenVariant
	*Runner
	at   int
	uses map[int]int
}

func newGoldenRun(t *testing.T, v goldenVariant, dtype array.DType) *goldenRun {
	t.Helper()
	r := &Recipe{
		Model: goldenNet{}, Loss: nn.CrossEntropy{}, Method: v.method, Optimizer: v.optimizer,
		Inputs:  []graph.Field{graph.Floats("x", 3, goldenSide, goldenSide)},
		Targets: []graph.Field{{Name: "y", Type: graph.Type{DType: array.I32}}},
	}
	if err := r.Complete(func(name string) bool { return slices.Contains(v.frozen, name) }); err != nil {
		t.Fatal(err)
	}
	r.float = dtype
	session, err := reference.New().NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for k, d := range r.Params {
		set(t, session, d.Name, dtype, goldenInitial(d, k), d.Shape)
	}
	for _, d := range r.Stats {
		start := make([]float64, d.Shape.Size().C)
		for i := range start {
			if strings.HasSuffix(d.Name, "running_var") {
				start[i] = 1
			}
		}
		set(t, session, d.Name, dtype, start, d.Shape)
	}
	return &goldenRun{t: t, goldenVariant: v, Runner: NewRunner(r, session), uses: map[int]int{}}
}

const (
	goldenBatch = 8
	goldenSide  = 6
)

func (g *goldenRun) step() (float64, error) {
	g.t.Helper()
	v := Variant{make([]int, len(g.method.Points)), make([]bool, len(g.method.Points))}
	for i, p := range g.method.Points {
		if n := len(p.Compress); n > 0 {
			d := (5*g.at + 2) % n
			v.draw[i], v.fresh[i] = d, g.uses[d]%max(p.Refresh, 1) == 0
			g.uses[d]++
		}
	}
	x := tensorOf(g.t, g.recipe.float, formula(goldenBatch*3*goldenSide*goldenSide, 7919, 104729*(g.at+1), 2003), goldenBatch, 3, goldenSide, goldenSide)
	labels := make([]int32, goldenBatch)
	for i := range labels {
		labels[i] = int32((i*31 + g.at*17) % 4)
	}
	y, err := array.From(labels)
	if err != nil {
		g.t.Fatal(err)
	}
	feed, err := g.recipe.Feed([]array.Tensor{x}, []array.Tensor{y}, g.lr, g.at, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	g.at++
	return g.Run(g.t.Context(), v, feed)
}

// slots returns every parameter and statistic.
func (g *goldenRun) slots() map[string][]float64 {
	g.t.Helper()
	out := map[string][]float64{}
	for _, d := range slices.Concat(g.recipe.Params, g.recipe.Stats) {
		got, err := g.session.Get(g.t.Context(), d.Name)
		if err != nil {
			g.t.Fatal(err)
		}
		out[d.Name] = floats(got)
	}
	return out
}

func tensorOf(t *testing.T, dtype array.DType, v []float64, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.New(dtype, dims...)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range v {
		if dtype == array.F64 {
			x.F64()[i] = f
		} else {
			x.F32()[i] = float32(f)
		}
	}
	return x
}

func set(t *testing.T, s backends.Session, name string, dtype array.DType, v []float64, shape graph.Shape) {
	t.Helper()
	dims, _ := shape.Dims()
	if err := s.Set(context.Background(), name, array.DenseValue(tensorOf(t, dtype, v, dims...))); err != nil {
		t.Fatal(err)
	}
}

func floats(x array.Tensor) []float64 {
	if x.DType == array.F64 {
		return slices.Clone(x.F64())
	}
	v := make([]float64, x.Len())
	for i, f := range x.F32() {
		v[i] = float64(f)
	}
	return v
}
