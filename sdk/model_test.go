package sdk_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// reopened saves f as a file and opens it.
func reopened(t *testing.T, f *checkpoint.File) *sdk.Network {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := os.WriteFile(path, bytesOf(t, f), 0o666); err != nil {
		t.Fatal(err)
	}
	net, err := sdk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// TestModelTrainsAsItsCode holds that a training by Network.Model has the weights of a training by
// the code of the model, bit for bit, also if the file has no program for training, as in version
// 1.
func TestModelTrainsAsItsCode(t *testing.T) {
	train := shapes(t, 40, 0)
	byCode := tinyTrainer()
	byCode.Model = models.SmallCNN(10) // without dropout
	start := fit(t, byCode, train, nil)
	byCode.Init, byCode.Backend = start, onCPU(t, 1)
	want := tensorsOf(t, fit(t, byCode, train, nil), "")
	f := fileOf(t, saved(t, start))
	withTrain := reopened(t, f)
	delete(f.Programs, "train")
	tune, err := checkpointTune(t, start)
	if err != nil {
		t.Fatal(err)
	}
	f.Programs["tune"] = tune
	withoutTrain := reopened(t, f)
	for name, net := range map[string]*sdk.Network{"with train": withTrain, "without train": withoutTrain} {
		model, err := net.Model()
		if err != nil {
			t.Fatal(err)
		}
		tr := tinyTrainer()
		tr.Model, tr.Normalize.Mean, tr.Normalize.Std, tr.Backend = model, nil, nil, onCPU(t, 1)
		again := fit(t, tr, train, nil)
		if diff := cmp.Diff(want, tensorsOf(t, again, "")); diff != "" {
			t.Errorf("%s: other weights (-by code +by Model):\n%.400s", name, diff)
		}
		if a, b := again.Info().Input(), start.Info().Input(); !cmp.Equal(a.Mean, b.Mean) || !cmp.Equal(a.Std, b.Std) {
			t.Errorf("%s: normalization %v %v, want %v %v", name, a.Mean, a.Std, b.Mean, b.Std)
		}
		if _, err := sdk.Compress(t.Context(), again, sdk.Calibration{Set: train, Batch: 20, Batches: 2}, compress.TopK(.5)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// checkpointTune returns the program for batch-norm tuning that files of version 1 have: the
// training pass without its outputs.
func checkpointTune(t *testing.T, net *sdk.Network) (*graph.Program, error) {
	t.Helper()
	p := fileOf(t, saved(t, net)).Programs["train"]
	b := graph.NewBuilder()
	inputs := make([]graph.Node, len(p.Inputs))
	for i, in := range p.Inputs {
		inputs[i] = b.Input(in.Name, p.Types[in.ID].DType, p.Types[in.ID].Shape)
	}
	_, updates := b.Inline(p, inputs, nil)
	for _, u := range p.Updates {
		b.Update(u.Slot, updates[u.Slot])
	}
	return b.Program()
}

// TestModelAsAPart holds that a network can be the body of a model with a new head: its parameters
// are in the scope of the body and begin with the values of the file.
func TestModelAsAPart(t *testing.T) {
	train := shapes(t, 40, 0)
	start := fit(t, tinyTrainer(), train, nil)
	body, err := start.Model()
	if err != nil {
		t.Fatal(err)
	}
	tr := tinyTrainer()
	tr.Normalize.Mean, tr.Normalize.Std = nil, nil
	tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		return p.Apply("head", nn.Linear{Out: 10}, nn.ReLU(p, p.Apply("body", body, x)))
	})
	tr.Freeze = func(name string) bool { return name == "body.conv1.weight" }
	got, want := tensorsOf(t, fit(t, tr, train, nil), ""), tensorsOf(t, start, "")
	if diff := cmp.Diff(want["conv1.weight"], got["body.conv1.weight"]); diff != "" {
		t.Error("the frozen weight of the body differs from that of the file:", diff)
	}
	if _, ok := got["head.weight"]; !ok || len(got) != len(want)+2 {
		t.Errorf("%d tensors, want %d and a head", len(got), len(want))
	}
}

// TestModelOfVersion1 holds that the network of a file of version 1 can be trained further and
// served.
func TestModelOfVersion1(t *testing.T) {
	content, err := os.ReadFile("testdata/version1.cram")
	if err != nil {
		t.Fatal(err)
	}
	if f := fileOf(t, content); f.Programs["tune"] == nil || f.Programs["train"] != nil {
		t.Fatal("testdata/version1.cram is not a file of version 1")
	}
	net, err := sdk.Open("testdata/version1.cram")
	if err != nil {
		t.Fatal(err)
	}
	model, err := net.Model()
	if err != nil {
		t.Fatal(err)
	}
	tr := sdk.Trainer{Model: model, Epochs: 1, Batch: 20}
	again := fit(t, tr, shapes(t, 40, 0), nil)
	if b := saved(t, again); bytes.Equal(b, content) || fileOf(t, b).Programs["train"] == nil {
		t.Error("the trained network has no program for training")
	}
	predict(t, predictor(t, again), images(pixels(t, 2)))
}

// TestModelDropsOut holds that the training pass of Network.Model has the dropout of the model: a
// step has other weights than without dropout.
func TestModelDropsOut(t *testing.T) {
	train := shapes(t, 20, 0)
	tr := tinyTrainer()
	tr.Model = nn.Sequential{models.SmallCNN(10), nn.Dropout{P: .5}}
	tr.Epochs = 1
	net := fit(t, tr, train, nil)
	model, err := net.Model()
	if err != nil {
		t.Fatal(err)
	}
	byCode, byModel := tr, tr
	byCode.Init, byCode.Backend = net, onCPU(t, 1)
	byModel.Model, byModel.Normalize.Mean, byModel.Normalize.Std, byModel.Backend = model, nil, nil, onCPU(t, 1)
	want := tensorsOf(t, fit(t, byCode, train, nil), "")
	if diff := cmp.Diff(want, tensorsOf(t, fit(t, byModel, train, nil), "")); diff != "" {
		t.Errorf("other weights: %.300s", diff)
	}
}

// tinyNetwork returns tiny after one epoch.
func tinyNetwork(t testing.TB, seed uint64) *sdk.Network {
	t.Helper()
	tr := tinyTrainer()
	tr.Epochs, tr.Seed = 1, seed
	return fit(t, tr, shapes(t, 16, seed), nil)
}

// stored saves a network, changes its file, and opens it. The change may be nil.
func stored(t *testing.T, net *sdk.Network, changes ...func(*checkpoint.File)) *sdk.Network {
	t.Helper()
	f := fileOf(t, saved(t, net))
	for _, change := range changes {
		change(f)
	}
	return reopened(t, f)
}

// modelOf returns a network as a model.
func modelOf(t testing.TB, net *sdk.Network) nn.Model {
	t.Helper()
	m, err := net.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestModelResumes holds that a training of Network.Model resumes like any other one.
func TestModelResumes(t *testing.T) {
	leaksNothing(t)
	train := shapes(t, 40, 0)
	tr := tinyTrainer()
	tr.Model, tr.Backend = modelOf(t, stored(t, tinyNetwork(t, 1))), onCPU(t, 1)
	whole := uninterrupted(t, tr, train, nil)
	tr.Checkpoint.Path = filepath.Join(t.TempDir(), "part.cram")
	if !inPieces(t, tr, train, nil, 4, func(func()) error { return errStop }).equal(whole) {
		t.Error("interrupted: another result")
	}
}

// TestModelInModel holds that a network that is a part of a model has its values and random numbers
// that no other layer uses, and that a training of the model resumes only with the same network.
func TestModelInModel(t *testing.T) {
	train := shapes(t, 40, 0)
	net := tinyNetwork(t, 1)
	tr := tinyTrainer()
	tr.Epochs, tr.Checkpoint.Path = 1, filepath.Join(t.TempDir(), "part.cram")
	tr.Freeze = func(name string) bool { return strings.HasPrefix(name, "0.") }
	with := func(body *sdk.Network) nn.Model {
		return nn.Sequential{modelOf(t, body), nn.Dropout{P: .1}, nn.Linear{Out: 10}}
	}
	tr.Model = with(net)
	tr.OnStep = func(sdk.Step) error { return errStop }
	if _, err := tr.Fit(t.Context(), train, nil); !errors.Is(err, errStop) {
		t.Fatal(err)
	}
	tr.OnStep, tr.Model = nil, with(tinyNetwork(t, 2))
	_, err := tr.Fit(t.Context(), train, nil)
	wantError(t, err, "another training", "network ")
	tr.Model = with(net)
	whole := stored(t, fit(t, tr, train, nil))
	before, after := tensorsOf(t, net, "dense"), tensorsOf(t, whole, "dense")
	if diff := cmp.Diff(before["conv2.weight"], after["0.conv2.weight"]); diff != "" {
		t.Error("frozen weights:", diff)
	}
	if cmp.Equal(before["bn1.running_var"], after["0.bn1.running_var"]) {
		t.Error("the statistics do not move")
	}
	text := fileOf(t, saved(t, whole)).Programs["train"].String()
	if strings.Count(text, "stream=0") != 1 || strings.Count(text, "stream=1") != 1 {
		t.Errorf("want a stream of random numbers for each dropout, got\n%s", text)
	}
}

// TestTwoModels holds that two networks can be parts of one model in different scopes, and that it
// is an error in the same scope.
func TestTwoModels(t *testing.T) {
	a, b := tinyNetwork(t, 1), tinyNetwork(t, 2)
	left, right := modelOf(t, a), modelOf(t, b)
	tr := tinyTrainer()
	tr.Epochs, tr.Schedule = 1, optim.Constant(1e-30)
	tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		return p.Add(p.Apply("a", left, x), p.Apply("b", right, x))
	})
	both := tensorsOf(t, stored(t, fit(t, tr, shapes(t, 16, 0), nil)), "dense")
	for scope, net := range map[string]*sdk.Network{"a.": a, "b.": b} {
		if diff := cmp.Diff(tensorsOf(t, net, "dense")["fc.weight"], both[scope+"fc.weight"]); diff != "" {
			t.Error(scope, diff)
		}
	}
	tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		return p.Add(left.Forward(p, x), right.Forward(p, x))
	})
	_, err := tr.Fit(t.Context(), shapes(t, 16, 0), nil)
	wantError(t, err, "conv1.weight: want one initial value, got two", "scope")
}

// TestProgramsOfLevels holds that the programs of a level in a file are checked like those of the
// network.
func TestProgramsOfLevels(t *testing.T) {
	net := tinyNetwork(t, 1)
	program := func(build func(*graph.Builder)) *graph.Program {
		b := graph.NewBuilder()
		build(b)
		p, err := b.Program()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	mean := graph.Slot{Name: "bn1.running_mean", Kind: graph.Stat, Type: graph.Type{DType: array.F32, Shape: graph.Of(8)}}
	own := func(name string, p *graph.Program) func(*checkpoint.File) {
		return func(f *checkpoint.File) { f.Levels[0].Programs = map[string]*graph.Program{name: p} }
	}
	halved := own("reset", program(func(b *graph.Builder) { b.Update(mean.Name, b.Scale(b.Slot(mean), .5)) }))
	_, err := stored(t, net, halved).Model()
	wantError(t, err, "sdk: Model: level dense", "want a constant", "bn1.running_mean")

	path := filepath.Join(t.TempDir(), "net.cram")
	still := own("train", program(func(b *graph.Builder) {
		b.Input("x", array.F32, graph.Batch(3, 24, 24))
		b.Output("output", b.Uniform(b.Input("key", array.I64, graph.Of(2)), 0, array.F32, graph.Batch(10)))
	}))
	f := fileOf(t, saved(t, net))
	still(f)
	if err := os.WriteFile(path, bytesOf(t, f), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err = sdk.Open(path)
	wantError(t, err, "level dense", "both or neither")
	load(t, path).Close() // reads no training program

	again := stored(t, net, func(f *checkpoint.File) { f.Levels[0].Programs = maps.Clone(f.Programs) })
	if _, err := sdk.Compress(t.Context(), again, sdk.Calibration{Set: shapes(t, 16, 0), Batches: 1}, compress.TopK(.5)); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(saved(t, again), []byte("train")) {
		t.Error("the file has no training pass")
	}
}

// TestWidenedForTraining holds that a parameter that only the training pass reads is converted from
// 16-bit floats.
func TestWidenedForTraining(t *testing.T) {
	tr := tinyTrainer()
	tr.Epochs = 1
	tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		y := tiny(p, x)
		if p.Mode == nn.Train {
			y = p.Add(y, p.Broadcast(p.Param("offset", graph.Other, nn.Constant(.5), 1, 1), p.Shape(y)))
		}
		return y
	})
	modelOf(t, stored(t, fit(t, tr, shapes(t, 16, 0), nil), func(f *checkpoint.File) {
		for name, v := range f.Levels[0].Tensors {
			half, err := v.Cast(array.F16)
			if err != nil {
				t.Fatal(err)
			}
			f.Levels[0].Tensors[name] = half
		}
	}))
}

// TestUnstorable holds that a network that cannot be stored is an error before the training.
func TestUnstorable(t *testing.T) {
	train := shapes(t, 16, 0)
	for name, c := range map[string]struct {
		change func(*sdk.Trainer)
		texts  []string
	}{
		"an output of training passes": {func(tr *sdk.Trainer) {
			tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
				if p.Mode == nn.Train {
					p.Output("auxiliary", x)
				}
				return tiny(p, x)
			})
		}, []string{"model", `program "train": want 1 outputs, got 2`}},
		"classes": {func(tr *sdk.Trainer) {
			tr.Model = nn.Sequential{tiny, nn.Linear{Out: 11}}
		}, []string{"[N 11]", "10 classes"}},
		"a text": {func(tr *sdk.Trainer) { tr.Info.Model = "\xff" }, []string{"UTF-8"}},
	} {
		tr := tinyTrainer()
		tr.OnStep = func(sdk.Step) error { t.Errorf("%s: a step was trained", name); return errStop }
		c.change(&tr)
		_, err := tr.Fit(t.Context(), train, nil)
		wantError(t, err, c.texts...)
	}
}

// TestUnmovedStatistic holds that a statistic that no training pass moves is neither tuned nor
// reset.
func TestUnmovedStatistic(t *testing.T) {
	tr := tinyTrainer()
	tr.Epochs = 1
	tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		return p.Mul(tiny(p, x), p.Stat("temperature", nn.Constant(2)))
	})
	net := stored(t, fit(t, tr, shapes(t, 16, 0), nil))
	if reset := fileOf(t, saved(t, net)).Programs["reset"].String(); strings.Contains(reset, "temperature") || !strings.Contains(reset, "bn1.running_mean") {
		t.Errorf("program reset:\n%s", reset)
	}
	tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		x = p.Apply("fc", nn.Linear{Out: 10}, nn.GlobalAvgPool(p, x))
		return p.Mul(x, p.Stat("temperature", nn.Constant(2)))
	})
	stored(t, fit(t, tr, shapes(t, 16, 0), nil))
}

// TestModelRefuses holds what a network as a model cannot be trained with.
func TestModelRefuses(t *testing.T) {
	train := shapes(t, 20, 0)
	tr := tinyTrainer()
	tr.Normalize = data.Normalize{Mean: []float32{.5, .5, .5}, Std: []float32{.25, .25, .25}}
	net := fit(t, tr, train, nil)
	model, err := net.Model()
	if err != nil {
		t.Fatal(err)
	}
	again := tr
	again.Model = model
	_, err = again.Fit(t.Context(), train, nil)
	wantError(t, err, "Trainer.Normalize", "want none")
	other := tinyTrainer()
	other.Model = models.SmallCNN(3)
	_, err = other.Fit(t.Context(), train, nil)
	wantError(t, err, "Trainer.Model", "each of the 10 classes", "f32[N 3]")
	_, err = net.Report("dense")
	wantError(t, err, "Report", "Compress", "dense")
}
