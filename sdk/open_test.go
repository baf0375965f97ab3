package sdk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// TestSaveAndOpen holds that an opened network is equal to the saved one, notes included, that
// saving it again gives the same bytes, and that it can be compressed and trained further.
func TestSaveAndOpen(t *testing.T) {
	set := shapes(t, 40, 0)
	small, err := sdk.Compress(t.Context(), fit(t, tinyTrainer(), set, nil), sdk.Calibration{Set: set, Batch: 20, Batches: 2},
		compress.Identity{}, compress.TopK(.5), compress.NM{N: 2, M: 4}, compress.TopK(.98))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := small.Save(path); err != nil {
		t.Fatal(err)
	}
	opened, err := sdk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	first, again := saved(t, small), saved(t, opened)
	if !bytes.Equal(first, again) {
		t.Error("Save, Open, Save gives other bytes")
	}
	if f := fileOf(t, again); f.Levels[2].Notes["conv1.weight"] == "" {
		t.Errorf("the note on conv1.weight is lost: %v", f.Levels[2].Notes)
	}
	if diff := cmp.Diff(small.Info(), opened.Info()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(small.Levels(), opened.Levels()); diff != "" {
		t.Error(diff)
	}
	x := images(pixels(t, 5))
	for _, level := range small.Levels() {
		want := predict(t, predictor(t, small, sdk.PredictorOptions{Level: level}), x)
		p, err := sdk.LoadSparse(t.Context(), path, sdk.PredictorOptions{Level: level})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if got := predict(t, p, x); !slices.Equal(got, want) {
			t.Errorf("%s: the Predictor of LoadSparse has other outputs than that of the network", level)
		}
		if got := predict(t, predictor(t, opened, sdk.PredictorOptions{Level: level}), x); !slices.Equal(got, want) {
			t.Errorf("%s: the opened network has other outputs", level)
		}
	}
	// Compress and train further.
	more, err := sdk.Compress(t.Context(), opened, sdk.Calibration{Set: set, Batch: 20, Batches: 2}, compress.TopK(.5))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tensorsOf(t, small, "topk:0.5"), tensorsOf(t, more, "")); diff != "" {
		t.Error(diff)
	}
	tr := tinyTrainer()
	tr.Init = opened
	fit(t, tr, set, nil)
}

// TestLoadSparseRefuses holds that a missing file, a directory, random bytes and an unknown level
// are errors that state the reason.
func TestLoadSparseRefuses(t *testing.T) {
	leaksNothing(t)
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := saved(t, sparse(t))
	net := file("net.cram", good)
	if _, err := sdk.LoadSparse(t.Context(), filepath.Join(dir, "absent.cram"), sdk.PredictorOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	var format *checkpoint.FormatError
	if _, err := sdk.LoadSparse(t.Context(), file("garbage.cram", bytes.Repeat([]byte("garbage "), 100)), sdk.PredictorOptions{}); !errors.As(err, &format) {
		t.Errorf("garbage: %v", err)
	}
	if _, err := sdk.LoadSparse(t.Context(), file("empty.cram", nil), sdk.PredictorOptions{}); !errors.As(err, &format) {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := sdk.LoadSparse(t.Context(), file("cut.cram", good[:len(good)-9]), sdk.PredictorOptions{Level: "dense"}); !errors.As(err, &format) {
		t.Errorf("a cut file: %v", err)
	}
	_, err := sdk.LoadSparse(t.Context(), dir, sdk.PredictorOptions{})
	wantError(t, err, dir)
	var no *checkpoint.LevelError
	for _, opts := range []sdk.PredictorOptions{{}, {Level: "topk:0.7"}} {
		_, err := sdk.LoadSparse(t.Context(), net, opts)
		if !errors.As(err, &no) || !slices.Equal(no.Have, []string{"dense", "topk:0.9"}) {
			t.Errorf("got %v, want the levels listed", err)
		}
		wantError(t, err, net, "dense, topk:0.9")
	}
	_, err = sdk.Open(dir)
	wantError(t, err, dir)
	if err := sparse(t).Save(filepath.Join(dir, "missing", "net.cram")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("saving to a missing directory: %v", err)
	}
}

// TestForeignFiles holds that Open and LoadSparse return an error for an undamaged file that does
// not contain a network.
func TestForeignFiles(t *testing.T) {
	good := saved(t, sparse(t))
	program := func(build func(*graph.Builder)) *graph.Program {
		b := graph.NewBuilder()
		build(b)
		p, err := b.Program()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, c := range map[string]struct {
		change func(f *checkpoint.File)
		texts  []string
	}{
		"no programs": {func(f *checkpoint.File) { f.Programs = nil }, []string{`no program "infer"`}},
		"two outputs": {func(f *checkpoint.File) {
			f.Programs["infer"] = program(func(b *graph.Builder) {
				b.Output("x", b.Input("x", array.F32, graph.Batch(3, 24, 24)))
				b.Output("y", b.Input("y", array.F32, nil))
			})
		}, []string{"infer"}},
		"integers": {func(f *checkpoint.File) {
			f.Programs["infer"] = program(func(b *graph.Builder) {
				b.Output("y", b.Cast(b.Input("x", array.F32, graph.Batch(3, 24, 24)), array.I32))
			})
		}, []string{"i32[N 3 24 24]"}},
		"another input":         {func(f *checkpoint.File) { f.Info.Inputs[0].Shape = graph.Batch(3, 24, 25) }, []string{"[N 3 24 24]", "[N 3 24 25]"}},
		"a program that writes": {func(f *checkpoint.File) { f.Programs["infer"] = f.Programs["train"] }, []string{"infer", "no update"}},
		"half the tuning":       {func(f *checkpoint.File) { delete(f.Programs, "reset") }, []string{"statistics", "resets"}},
		"a missing tensor":      {func(f *checkpoint.File) { delete(f.Levels[0].Tensors, "fc.bias") }, []string{"level dense", "fc.bias", "f32[10]"}},
		"another shape": {func(f *checkpoint.File) {
			for _, l := range f.Levels {
				l.Tensors["fc.bias"] = l.Tensors["bn1.bias"]
			}
		}, []string{"fc.bias", "f32[10]", "f32[16]"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := fileOf(t, good)
			f.Programs = maps.Clone(f.Programs)
			c.change(f)
			path := filepath.Join(t.TempDir(), "net.cram")
			if err := os.WriteFile(path, bytesOf(t, f), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := sdk.Open(path)
			wantError(t, err, append(c.texts, path)...)
			if name == "half the tuning" || name == "no programs" {
				return
			}
			_, err = sdk.LoadSparse(t.Context(), path, sdk.PredictorOptions{Level: "dense"})
			wantError(t, err, append(c.texts, path)...)
		})
	}
}

// resNet20 returns a network of random weights for examples of the size of data.Shapes.
func resNet20(t testing.TB) *sdk.Network {
	t.Helper()
	decls, _, err := nn.Declare(models.ResNet20(10), graph.Floats("x", 3, 24, 24))
	if err != nil {
		t.Fatal(err)
	}
	weights, err := nn.Initial(decls, 1)
	if err != nil {
		t.Fatal(err)
	}
	net, err := sdk.FromWeights(models.ResNet20(10), sdk.Info{Model: "resnet20", Inputs: []sdk.Port{{Shape: graph.Batch(3, 24, 24)}}}, weights)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// TestSmall holds that a file with ResNet-20 at 90 % zeros has less than a fifth of the bytes of
// the dense one.
func TestSmall(t *testing.T) {
	net := resNet20(t)
	small, err := sdk.Compress(t.Context(), net, sdk.Calibration{}, compress.TopK(.9))
	if err != nil {
		t.Fatal(err)
	}
	got, dense := len(saved(t, small)), len(saved(t, net))
	t.Logf("%d bytes of %d, %.1f %%", got, dense, 100*float64(got)/float64(dense))
	if 5*got >= dense {
		t.Errorf("%d bytes of %d", got, dense)
	}
}
