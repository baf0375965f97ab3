package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
)

// TestWholePath goes from training to a prediction, by way of every command that touches a network's file.
func TestWholePath(t *testing.T) {
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
		t.Errorf("compress says of nm:2:4 that it left %v dense", why)
	}

	lines = must(t, "eval", small, "--data", "shapes", "--threads", "1")
	if len(lines) != 3 || lines[0]["level"] != "dense" || lines[0]["accuracy"] != accuracy || lines[0]["examples"] != 2000.0 {
		t.Errorf("eval printed %v, want the accuracy that train printed, %v", lines, accuracy)
	}
	one := must(t, "eval", small, "--data", "shapes", "--level", "nm:2:4", "--limit", "100")[0]
	reference := must(t, "eval", small, "--data", "shapes", "--level", "nm:2:4", "--limit", "100", "--backend", "reference")[0]
	// Float32 sums in another order: 1e-4 of a loss near 1 is a hundred roundings.
	if one["examples"] != 100.0 || reference["backend"] != "reference" || math.Abs(one["loss"].(float64)-reference["loss"].(float64)) > 1e-4 {
		t.Errorf("cpu and reference disagree: %v, %v", one, reference)
	}

	picture, label := shape(t, dir, 7), expected(t, small, 7)
	got := must(t, "predict", small, "--level", "topk:0.5", "--top", "3", picture)[0]
	classes := got["classes"].([]any)
	if first := classes[0].(map[string]any); len(classes) != 3 || first["label"] != float64(label) {
		t.Errorf("predict says %v, the Predictor label %d", got, label)
	}
	if o := try(t.Context(), "predict", small, picture); o.code != 1 || !strings.Contains(o.stderr, "topk:0.5") {
		t.Errorf("predict without a level: %+v, want the levels listed", o)
	}

	lines = must(t, "inspect", small)
	last := lines[len(lines)-1]
	if lines[0]["model"] != "small-cnn" || lines[0]["data"] != "shapes, first 3000" || lines[0]["training"] != false || last["level"] != "nm:2:4" || last["tensors"] != 17.0 {
		t.Errorf("inspect printed %v and %v", lines[0], last)
	}
	if text := must(t, "inspect", small, "--program", "infer")[0]["text"].(string); !strings.Contains(text, "conv2d") {
		t.Errorf("the program is %q", text)
	}

	if v := must(t, "verify", small)[0]; v["intact"] != true {
		t.Errorf("verify says %v", v)
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

// shape writes test image i of the procedural set as a picture.
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

// expected returns the label that the network gives test image i at level topk:0.5.
func expected(t *testing.T, file string, i int) int {
	t.Helper()
	p, err := sdk.LoadSparse(file, sdk.Level("topk:0.5"))
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
	side = set.Shape()[1]
	x = make([]float32, 3*side*side)
	if _, err := set.Read(i, x); err != nil {
		t.Fatal(err)
	}
	return x, side
}

// TestResume interrupts a training twice, by its context and by killing the process, and compares the file with that of a
// training nobody disturbed.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	args := func(name string) []string {
		return []string{"train", "--model", "small-cnn", "--data", "shapes", "--limit", "1600", "--epochs", "3", "--batch", "32",
			"--optimizer", "adam", "--lr", "0.001", "--checkpoint-every", "7", "--freeze", "bn1.*", "--out", filepath.Join(dir, name)}
	}
	must(t, args("whole.cram")...)

	ctx, cancel := context.WithCancel(t.Context())
	part := filepath.Join(dir, "cut.cram.part")
	go func() {
		defer cancel()
		waitFor(ctx, func() bool { _, err := os.Stat(part); return err == nil })
	}()
	if o := try(ctx, args("cut.cram")...); o.code != 1 || !strings.Contains(o.stderr, "the same command goes on from "+part) {
		t.Fatalf("a cancelled training: %+v", o)
	}

	command := exec.CommandContext(t.Context(), os.Args[0], args("cut.cram")...)
	command.Env = append(os.Environ(), "CRAM_TEST_AS_COMMAND=1")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	before := read(t, part)
	waitFor(t.Context(), func() bool { now, err := os.ReadFile(part); return err != nil || !bytes.Equal(before, now) })
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil {
		t.Fatal("the training ended before it could be killed")
	}

	if o := try(t.Context(), append(args("cut.cram"), "--seed", "1")...); o.code != 1 || !strings.Contains(o.stderr, "another training") {
		t.Errorf("another seed goes on from the same file: %+v", o)
	}
	if o := try(t.Context(), append(args("cut.cram"), "--backend", "reference")...); o.code != 1 || !strings.Contains(o.stderr, "--any-backend") {
		t.Errorf("another backend goes on from the same file: %+v", o)
	}
	if o := try(t.Context(), args("cut.cram")...); o.code != 0 || !strings.Contains(o.stderr, "going on from "+part) {
		t.Fatalf("the same command again: %+v", o)
	}
	if !bytes.Equal(read(t, filepath.Join(dir, "whole.cram")), read(t, filepath.Join(dir, "cut.cram"))) {
		t.Error("the interrupted training's file differs")
	}
	if _, err := os.Stat(part); err == nil {
		t.Error("the partial file is still there")
	}
}

// waitFor returns when done does so, or the context ends.
func waitFor(ctx context.Context, done func() bool) {
	for ctx.Err() == nil && !done() {
		time.Sleep(time.Millisecond)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBenchTrain(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cpu.out")
	r := must(t, "bench", "train", "--model", "small-cnn", "--batch", "4", "--steps", "3", "--skip", "1", "--method", "sgd", "--cpuprofile", profile)[0]
	if per, step := r["images_per_s"].(float64), r["step_s"].(float64); step <= 0 || math.Abs(per*step-4) > 1e-9 {
		t.Errorf("bench train says %v", r)
	}
	if len(read(t, profile)) == 0 {
		t.Error("the profile is empty")
	}
}
