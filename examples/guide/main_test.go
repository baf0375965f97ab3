package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/compress/compresstest"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// network trains a network for a second and prunes it.
func network(t *testing.T, level compress.Compressor) *sdk.Network {
	t.Helper()
	train, err := data.Shapes(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	trainer := sdk.Trainer{Model: models.SmallCNN(10), Method: optim.CrAMPlus(0.1, level), Epochs: 1, Batch: 32}
	trained, err := trainer.Fit(t.Context(), train, nil)
	if err != nil {
		t.Fatal(err)
	}
	return trained
}

// TestServer serves a file, replaces it by another, and by one that is no network.
func TestServer(t *testing.T) {
	trained := network(t, compress.TopK(.9))
	train, err := data.Shapes(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	pruned, err := sdk.Compress(t.Context(), trained, sdk.Calibration{Set: train, Batches: 2}, compress.TopK(.9))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{file: filepath.Join(t.TempDir(), "net.cram"), level: "topk:0.9"}
	if err := s.load(t.Context()); err == nil {
		t.Error("no error without a file")
	}
	if err := pruned.Save(s.file); err != nil {
		t.Fatal(err)
	}
	if err := s.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile("shape.png")
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string, body []byte, want int) *bytes.Buffer {
		t.Helper()
		w := httptest.NewRecorder()
		s.routes().ServeHTTP(w, httptest.NewRequest("POST", path, bytes.NewReader(body)))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", path, w.Code, want, w.Body)
		}
		return w.Body
	}
	post("/predict", []byte("no image"), http.StatusUnprocessableEntity)
	post("/reload", nil, http.StatusOK)
	if err := os.WriteFile(s.file, []byte("no network"), 0o644); err != nil {
		t.Fatal(err)
	}
	post("/reload", nil, http.StatusInternalServerError)
	var classes []sdk.Class
	if err := json.Unmarshal(post("/predict", picture, http.StatusOK).Bytes(), &classes); err != nil || len(classes) != 3 {
		t.Errorf("answer %v, %v: want 3 classes", classes, err)
	}
}

// TestSnippets runs the functions that the guide shows.
func TestSnippets(t *testing.T) {
	train, err := data.Shapes(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := settings().Method.Check(); err != nil {
		t.Error(err)
	}
	pruned, err := compareLevels(t.Context(), network(t, compress.TopK(.9)), train, train)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSparsity(pruned); err != nil {
		t.Error(err)
	}
	compresstest.Run(t, Small(0.01), compresstest.Options{})
	if err := Small(-1).Check(); err == nil {
		t.Error("a negative threshold is accepted")
	}
	convolutions := compress.Only(Small(0.01), "conv*.weight")
	own, err := sdk.Compress(t.Context(), pruned, sdk.Calibration{}, convolutions)
	if err != nil {
		t.Fatal(err)
	}
	if got := own.Levels(); !slices.Equal(got, []string{"only(conv*.weight):small:0.01"}) {
		t.Errorf("levels %q", got)
	}
}

// TestModels runs the functions that the guide shows for other data and for networks of a file.
func TestModels(t *testing.T) {
	if err := onePass().Check(); err != nil {
		t.Error(err)
	}
	x, y := make([]float32, 3*256), make([]float32, 256)
	r := data.NewRandom(1)
	for i := range y {
		for k := range 3 {
			x[3*i+k] = 2*r.Float32() - 1
		}
		y[i] = x[3*i] - 2*x[3*i+1] // variance 5/3
	}
	if mse, err := regression(t.Context(), x, y); err != nil || mse > 0.1 {
		t.Errorf("mean squared error %g, %v: want less than 0.1", mse, err)
	}
	ids, err := array.From([]int32{1, 2, 0, 3, 0, 0}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	mask, err := array.From([]float32{1, 1, 0, 1, 0, 0}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := array.From([]int32{0, 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if logits, err := twoInputs(t.Context(), ids, mask, labels); err != nil || len(logits.F32()) != 4 {
		t.Errorf("logits %v, %v: want [2 2]", logits, err)
	}
	train, err := data.Shapes(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := network(t, compress.TopK(.9)).Save(path); err != nil {
		t.Fatal(err)
	}
	pruned, err := fineTune(t.Context(), path, train)
	if err != nil || len(pruned.Levels()) != 2 {
		t.Errorf("fine-tuned network %v, %v: want two levels", pruned, err)
	}
	model, err := newHead(path, 4)
	if err != nil {
		t.Fatal(err)
	}
	labels4 := make([]int, 32)
	for i := range labels4 {
		labels4[i] = i % 4
	}
	four, err := data.FromSlices([]int{3, 24, 24}, make([]float32, 32*3*24*24), labels4, []string{"a", "b", "c", "d"})
	if err != nil {
		t.Fatal(err)
	}
	trained, err := sdk.Trainer{Model: model, Epochs: 1, Batch: 32}.Fit(t.Context(), four, nil)
	if err != nil {
		t.Fatal(err)
	}
	if classes := trained.Info().Output().Classes; len(classes) != 4 {
		t.Errorf("classes %q, want four", classes)
	}
}

var update = flag.Bool("update", false, "write shape.png")

// TestPicture holds that shape.png is the first image of the test set of the guide.
func TestPicture(t *testing.T) {
	set, err := data.Shapes(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	const side = 24
	example, err := data.ReadExample(set, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := example.Inputs[0].F32()
	if *update {
		p := image.NewNRGBA(image.Rect(0, 0, side, side))
		at := func(channel, i int) uint8 { return uint8(x[channel*side*side+i]*255 + 0.5) }
		for i := range side * side {
			p.SetNRGBA(i%side, i/side, color.NRGBA{R: at(0, i), G: at(1, i), B: at(2, i), A: 255})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, p); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("shape.png", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := data.Image("shape.png", []int{3, side, side})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range x {
		if got[i] != want {
			t.Fatalf("element %d is %v, want %v", i, got[i], want)
		}
	}
}
