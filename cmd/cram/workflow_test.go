package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
)

// TestWorkflow trains, prunes, evaluates, predicts with, inspects and verifies a network.
func TestWorkflow(t *testing.T) {
	dir := t.TempDir()
	net, small := filepath.Join(dir, "net.cram"), filepath.Join(dir, "small.cram")
	lines := must(t, "train", "--model", "small-cnn", "--data", "shapes", "--limit", "3000", "--epochs", "3", "--batch", "32",
		"--rho", "0.1", "--levels", "0.5,nm:2:4", "--seed", "3", "--out", net)
	if len(lines) != 4 || lines[2]["epoch"] != 3.0 || lines[3]["file"] != net {
		t.Errorf("train printed %v", lines)
	}
	accuracy := lines[3]["val_accuracy"].(float64)
	if accuracy < 0.3 {
		t.Errorf("accuracy is %v after training, 0.1 is chance", accuracy)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("train left %v", left)
	}

	lines = must(t, "compress", net, "--with", "dense,0.5", "--with", "nm:2:4", "--data", "shapes", "--batches", "10", "--out", small)
	if len(lines) != 4 || lines[0]["tuned"] != false || lines[1]["level"] != "topk:0.5" || lines[1]["sparsity"] != 0.5 || lines[1]["tuned"] != true {
		t.Errorf("compress printed %v", lines)
	}
	if why := lines[2]["dense"].([]any); len(why) != 1 || !strings.Contains(why[0].(string), "conv1.weight") {
		t.Errorf("nm:2:4 did not prune %v, want conv1.weight", why)
	}

	lines = must(t, "eval", small, "--data", "shapes", "--threads", "1")
	if len(lines) != 3 || lines[0]["level"] != "dense" || lines[0]["accuracy"] != accuracy || lines[0]["examples"] != 2000.0 {
		t.Errorf("eval printed %v, want the accuracy that train printed, %v", lines, accuracy)
	}
	one := must(t, "eval", small, "--data", "shapes", "--level", "nm:2:4", "--limit", "100")[0]
	reference := must(t, "eval", small, "--data", "shapes", "--level", "nm:2:4", "--limit", "100", "--backend", "reference")[0]
	// The sums are in float32 and in another order.
	if one["examples"] != 100.0 || reference["backend"] != "reference" || math.Abs(one["loss"].(float64)-reference["loss"].(float64)) > 1e-4 {
		t.Errorf("cpu and reference disagree: %v, %v", one, reference)
	}

	picture, label := shape(t, dir, 7), labelOf(t, small, 7)
	got := must(t, "predict", small, "--level", "topk:0.5", "--top", "3", picture)[0]
	classes := got["classes"].([]any)
	if first := classes[0].(map[string]any); len(classes) != 3 || first["label"] != float64(label) {
		t.Errorf("predict printed %v, the Predictor gives label %d", got, label)
	}
	if o := try(t.Context(), "predict", small, picture); o.code != 1 || !strings.Contains(o.stderr, "topk:0.5") {
		t.Errorf("predict without a level: %+v, want the levels listed", o)
	}

	lines = must(t, "inspect", small)
	last := lines[len(lines)-1]
	if lines[0]["model"] != "small-cnn" || lines[0]["data"] != "shapes, first 3000" || lines[0]["training"] != false || last["level"] != "nm:2:4" || last["tensors"] != 17.0 {
		t.Errorf("inspect printed %v and %v", lines[0], last)
	}
	for _, row := range lines {
		if row["level"] == "topk:0.5" && row["tensors"] != nil && row["sparsity"] != 0.5 {
			t.Errorf("inspect printed %v, want the sparsity that compress printed, 0.5", row)
		}
	}
	if text := must(t, "inspect", small, "--program", "infer")[0]["text"].(string); !strings.Contains(text, "conv2d") {
		t.Errorf("the program is %q", text)
	}

	if v := must(t, "verify", small)[0]; v["intact"] != true {
		t.Errorf("verify printed %v", v)
	}
	content, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	write(t, small, content)
	if o := try(t.Context(), "verify", small, net); o.code != 1 || !strings.Contains(o.stdout, "small.cram: damaged at byte") || !strings.Contains(o.stdout, "net.cram: intact") {
		t.Errorf("verify of a damaged file: %+v", o)
	}
}

// shape writes test image i of the data set shapes as a PNG file.
func shape(t *testing.T, dir string, i int) string {
	t.Helper()
	x, side := example(t, i)
	p := image.NewNRGBA(image.Rect(0, 0, side, side))
	at := func(channel, k int) uint8 { return uint8(math.Round(float64(x[channel*side*side+k]) * 255)) }
	for k := range side * side {
		p.Set(k%side, k/side, color.NRGBA{at(0, k), at(1, k), at(2, k), 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "shape.png")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// labelOf returns the label that level topk:0.5 of the network gives to test image i.
func labelOf(t *testing.T, file string, i int) int {
	t.Helper()
	p, err := sdk.LoadSparse(t.Context(), file, sdk.PredictorOptions{Level: "topk:0.5"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	x, side := example(t, i)
	y, err := p.Predict(t.Context(), tensor.New(tensor.WithShape(1, 3, side, side), tensor.WithBacking(x)))
	if err != nil {
		t.Fatal(err)
	}
	best := 0
	for label, v := range y.Float32s() {
		if v > y.Float32s()[best] {
			best = label
		}
	}
	return best
}

// example returns test image i of the data set shapes.
func example(t *testing.T, i int) (x []float32, side int) {
	t.Helper()
	known, err := data.Lookup("shapes")
	if err != nil {
		t.Fatal(err)
	}
	set, err := known.Open("", data.Test)
	if err != nil {
		t.Fatal(err)
	}
	e, err := data.ReadExample(set, i)
	if err != nil {
		t.Fatal(err)
	}
	return e.Inputs[0].F32(), e.Inputs[0].Dims[1]
}
