package sdk_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
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

// TestModelTrainsAsItsCode trains a network from its file, once by the code of its model and once
// by Network.Model, and wants the same weights bit for bit; also from a file that has no program
// for training, as version 1 has none.
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
			t.Errorf("%s: normalisation %v %v, want %v %v", name, a.Mean, a.Std, b.Mean, b.Std)
		}
		if _, err := sdk.Compress(t.Context(), again, sdk.Calibration{Set: train, Batch: 20, Batches: 2}, compress.TopK(.5)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// checkpointTune returns the program that files of version 1 hold for batch-norm tuning: the
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

// TestModelAsAPart puts a new head on the body of a network: its parameters are in the scope of the
// part and begin with the values of the file.
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

// TestModelOfVersion1 opens a file that an earlier release wrote, trains its network further and
// serves it.
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

// TestModelDropsOut holds that the training pass of a network has its dropout: the same step gives
// other weights than that of a model without.
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
