package sdk_test

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/metric"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
)

func f32s(t testing.TB, values []float32, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.From(values, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func i32s(t testing.TB, values []int32, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.From(values, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// mlp returns a network with one hidden layer.
func mlp(outputs int) nn.Model {
	return nn.Sequential{nn.Linear{Out: 24}, nn.Func(nn.Tanh), nn.Linear{Out: outputs}}
}

// roundTrip prunes a network by half, saves it, and returns Predictors of its two levels from the
// file.
func roundTrip(t *testing.T, net *sdk.Network) (dense, half *sdk.Predictor) {
	t.Helper()
	small, err := sdk.Compress(t.Context(), net, sdk.Calibration{}, compress.Identity{}, compress.Uniform(.5))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := small.Save(path); err != nil {
		t.Fatal(err)
	}
	return load(t, path, sdk.PredictorOptions{Level: "dense"}), load(t, path, sdk.PredictorOptions{Level: "uniform:0.5"})
}

// TestRegression holds that a network for a real number can be trained, pruned, saved and served
// from its file.
func TestRegression(t *testing.T) {
	leaksNothing(t)
	const n = 256
	r := rand.New(rand.NewPCG(1, 2))
	x, y := make([]float32, 2*n), make([]float32, n)
	for i := range n {
		a, b := r.Float64()*2-1, r.Float64()*2-1
		x[2*i], x[2*i+1], y[i] = float32(a), float32(b), float32(math.Sin(2*a)+b*b)
	}
	set, err := data.FromColumns([]data.Column{{Name: "point", Values: f32s(t, x, n, 2)}}, []data.Column{{Name: "height", Values: f32s(t, y, n, 1)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := sdk.Trainer{Model: mlp(1), Loss: nn.MSE{}, Method: optim.CrAMPlus(.01, compress.Uniform(.5)), Epochs: 60, Batch: 32, Schedule: optim.Cosine{Peak: .05}}
	var scores []float64
	tr.OnEpoch = func(e sdk.Epoch) error { scores = append(scores, e.Validation.Values["mse"]); return nil }
	net, err := tr.Fit(t.Context(), set, set)
	if err != nil {
		t.Fatal(err)
	}
	if last := scores[len(scores)-1]; !(last < .02 && last < scores[0]/5) {
		t.Errorf("the squared error is %.3f after %.3f in the first epoch", last, scores[0])
	}
	dense, half := roundTrip(t, net)
	defer dense.Close()
	defer half.Close()
	score, err := dense.Evaluate(t.Context(), set, 50)
	if err != nil || math.Abs(score.Values["mse"]-scores[len(scores)-1]) > 1e-5 || score.Examples != n {
		t.Errorf("score %v, %v; want %v", score, err, scores[len(scores)-1])
	}
	pruned, err := half.Evaluate(t.Context(), set, 50)
	if err != nil || !(pruned.Values["mse"] < .1) {
		t.Errorf("at half the weights: %v, %v", pruned, err)
	}
	if y, err := dense.PredictFloats(t.Context(), x[:4]); err != nil || len(y) != 2 {
		t.Errorf("outputs %v, %v", y, err)
	}
	_, err = dense.Classify(t.Context(), x[:2], 1)
	wantError(t, err, "Classify", "at least two classes", "[1 1]")
	tr.Loss = nil
	_, err = tr.Fit(t.Context(), set, nil)
	wantError(t, err, "Trainer.Loss", "height f32[1]", "nn.MSE{}")
}

// TestMultiLabel holds that a network for several labels of an example can be trained, pruned,
// saved and served from its file.
func TestMultiLabel(t *testing.T) {
	leaksNothing(t)
	const n = 240
	r := rand.New(rand.NewPCG(3, 4))
	x, y := make([]float32, 3*n), make([]float32, 3*n)
	for i := range n {
		for k := range 3 {
			x[3*i+k] = float32(r.Float64()*2 - 1)
		}
		for k := range 3 {
			if x[3*i+k] > x[3*i+(k+1)%3] {
				y[3*i+k] = 1
			}
		}
	}
	set, err := data.FromColumns([]data.Column{{Name: "x", Values: f32s(t, x, n, 3)}}, []data.Column{{Name: "labels", Values: f32s(t, y, n, 3)}}, []string{"up", "down", "round"})
	if err != nil {
		t.Fatal(err)
	}
	tr := sdk.Trainer{
		Model: mlp(3), Loss: nn.BinaryCrossEntropy{}, Metrics: []metric.Metric{metric.BinaryAccuracy{}},
		Method: optim.CrAMPlus(.01, compress.Uniform(.5)), Epochs: 20, Batch: 24, Schedule: optim.Cosine{Peak: .3},
	}
	net, err := tr.Fit(t.Context(), set, set)
	if err != nil {
		t.Fatal(err)
	}
	dense, half := roundTrip(t, net)
	defer dense.Close()
	defer half.Close()
	for level, p := range map[string]*sdk.Predictor{"dense": dense, "half": half} {
		score, err := p.Evaluate(t.Context(), set, 50, metric.BinaryAccuracy{}, metric.MSE{})
		if err != nil || !(score.Values["binary_accuracy"] > .85) || score.Values["mse"] == 0 {
			t.Errorf("%s: score %v, %v", level, score, err)
		}
		if got := p.Info().Output().Classes; !slices.Equal(got, []string{"up", "down", "round"}) {
			t.Errorf("%s: classes %v", level, got)
		}
	}
}

// masked classifies the mean of the embeddings of those ids whose mask is 1. The norm of the mean
// is a second output.
type masked struct{ classes int }

func (m masked) Forward(p *nn.Pass, ids graph.Node) graph.Node {
	mask := p.Input("mask")
	e := p.Apply("words", nn.Embedding{Rows: 20, Dim: 8}, ids)
	shape := append(slices.Clone(p.Shape(mask)), graph.Dim{C: 1})
	e = p.Mul(e, p.Reshape(mask, shape))
	sum := p.Sum(e, false, 1)
	mean := p.Div(sum, p.Shift(p.Sum(mask, true, 1), 1e-6))
	p.Output("norm", p.Sqrt(p.Sum(p.Mul(mean, mean), false, 1)))
	return p.Apply("head", nn.Linear{Out: m.classes}, mean)
}

// sentences is a set of examples of different lengths, word ids and a mask. The words of class 0
// are in the first half of the vocabulary, those of class 1 in the second.
type sentences struct{ n int }

func (s sentences) Len() int          { return s.n }
func (s sentences) Classes() []string { return []string{"low", "high"} }

func (s sentences) Inputs() []graph.Field {
	t := graph.Shape{graph.Sym("T")}
	return []graph.Field{{Name: "ids", Type: graph.Type{DType: array.I32, Shape: t}}, {Name: "mask", Type: graph.Type{DType: array.F32, Shape: t}}}
}

func (s sentences) Targets() []graph.Field {
	return []graph.Field{{Name: "class", Type: graph.Type{DType: array.I32}}}
}

func (s sentences) Read(i int, e data.Example) (err error) {
	r := rand.New(rand.NewPCG(9, uint64(i)))
	ids, mask := make([]int32, 2+i%4), make([]float32, 2+i%4)
	for k := range ids {
		ids[k], mask[k] = int32(i%2*10+r.IntN(10)), 1
	}
	e.Targets[0].I32()[0] = int32(i % 2)
	if e.Inputs[0], err = array.From(ids); err != nil {
		return err
	}
	e.Inputs[1], err = array.From(mask)
	return err
}

// TestTwoInputs holds that a network with two inputs of symbolic shape and two outputs can be
// trained, pruned, saved and served, and that a sentence in a batch with a longer one has the same
// outputs as alone.
func TestTwoInputs(t *testing.T) {
	leaksNothing(t)
	set := sentences{160}
	tr := sdk.Trainer{Model: masked{2}, Method: optim.CrAMPlus(.01, compress.Uniform(.5)), Epochs: 8, Batch: 16, Schedule: optim.Cosine{Peak: 1}}
	net, err := tr.Fit(t.Context(), set, set)
	if err != nil {
		t.Fatal(err)
	}
	dense, half := roundTrip(t, net)
	defer dense.Close()
	defer half.Close()
	for level, p := range map[string]*sdk.Predictor{"dense": dense, "half": half} {
		if score, err := p.Evaluate(t.Context(), set, 40); err != nil || score.Values["accuracy"] < .95 {
			t.Errorf("%s: score %v, %v", level, score, err)
		}
	}
	alone, err := dense.PredictNamed(t.Context(), map[string]array.Tensor{"ids": i32s(t, []int32{3, 4}, 1, 2), "mask": f32s(t, []float32{1, 1}, 1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	both, err := dense.PredictNamed(t.Context(), map[string]array.Tensor{
		"ids": i32s(t, []int32{3, 4, 0, 15, 16, 17}, 2, 3), "mask": f32s(t, []float32{1, 1, 0, 1, 1, 1}, 2, 3)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"output", "norm"} {
		a, b := alone[name], both[name]
		if a.None() || !slices.Equal(a.F32(), b.F32()[:len(a.F32())]) {
			t.Errorf("output %s: alone %v, in a batch %v", name, a.F32(), b.F32())
		}
	}
	info := dense.Info()
	if len(info.Inputs) != 2 || info.Inputs[1].Name != "mask" || info.Inputs[0].DType != array.I32 || info.Inputs[0].Shape.String() != "[N T]" || len(info.Outputs) != 2 {
		t.Errorf("the file describes %+v and %+v", info.Inputs, info.Outputs)
	}
	_, err = dense.PredictFloats(t.Context(), []float32{1})
	wantError(t, err, "PredictFloats", "constant size", "PredictNamed")
	_, err = dense.PredictNamed(t.Context(), map[string]array.Tensor{"ids": i32s(t, []int32{3, 4}, 1, 2)})
	wantError(t, err, "want the inputs ids i32[T], mask f32[T]", `["ids"]`)
	_, err = dense.PredictNamed(t.Context(), map[string]array.Tensor{"ids": i32s(t, []int32{3, 4}, 1, 2), "mask": f32s(t, []float32{1}, 1, 1)})
	wantError(t, err, "mask", "[N T]")
	_, err = dense.Evaluate(t.Context(), shapes(t, 4, 0), 2)
	wantError(t, err, "want examples with the inputs ids i32[T], mask f32[T], got x f32[3 24 24]")
	tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node { return p.Input("segments") })
	_, err = tr.Fit(t.Context(), set, nil)
	wantError(t, err, `want the input "segments", the examples have ["ids" "mask"]`)
}

// distill is half the cross-entropy and half the divergence from the softmax of the clean output.
var distill = nn.LossFunc("distill", func(p *nn.Pass, output, target graph.Node) graph.Node {
	teacher := p.Softmax(p.Clean)
	log := p.Sub(output, p.Log(p.Sum(p.Exp(output), true, 1)))
	soft := p.Neg(p.Mean(p.Sum(p.Mul(teacher, log), false, 1), false))
	return p.Scale(p.Add(nn.CrossEntropy{}.Loss(p, output, target), soft), .5)
})

// TestLossOfAPoint holds that the loss of the compressed point, which compares with the clean
// output, changes the weights, and that the weights do not depend on whether the compressor is part
// of the program or runs on the host between two programs.
func TestLossOfAPoint(t *testing.T) {
	leaksNothing(t)
	train := shapes(t, 40, 0)
	run := func(loss nn.Loss, c compress.Compressor) map[string]array.Tensor {
		tr := tinyTrainer()
		tr.Backend, tr.Epochs = onCPU(t, 1), 2
		tr.Method = optim.CrAMPlus(.1, c)
		tr.Method.Points[1].Loss = loss
		net := fit(t, tr, train, nil)
		if want := loss != nil; strings.Contains(net.Info().Recipe, "loss distill") != want {
			t.Errorf("recipe %q", net.Info().Recipe)
		}
		out := map[string]array.Tensor{}
		for name, v := range fileOf(t, saved(t, net)).Levels[0].Tensors {
			d, err := v.Decode()
			if err != nil {
				t.Fatal(err)
			}
			out[name] = d
		}
		return out
	}
	inGraph := run(distill, compress.Identity{})
	onHost := run(distill, compress.Func("identity", compress.Identity{}.Compress))
	if diff := cmp.Diff(inGraph["fc.weight"].F32(), onHost["fc.weight"].F32()); diff != "" {
		t.Error("the weights differ between the graph and the host:", diff)
	}
	clean := nn.LossFunc("clean", func(p *nn.Pass, output, target graph.Node) graph.Node {
		if !p.Clean.None() {
			p.Fail("the loss of the training has a clean output")
		}
		return nn.CrossEntropy{}.Loss(p, output, target)
	})
	tr := tinyTrainer()
	tr.Loss, tr.Epochs = clean, 1
	fit(t, tr, train, nil)
	if slices.Equal(inGraph["fc.weight"].F32(), run(nil, compress.Identity{})["fc.weight"].F32()) {
		t.Error("the loss of the point changes nothing: the test cannot fail")
	}
}
