package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
)

// twoLevels writes a file with the levels dense and topk:0.9 of a network that has learnt a little.
func twoLevels(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	net, out := filepath.Join(dir, "net.cram"), filepath.Join(dir, "levels.cram")
	must(t, "train", "--model", "small-cnn", "--data", "shapes", "--limit", "500", "--epochs", "1", "--method", "sgd", "--out", net)
	must(t, "compress", net, "--with", "dense,0.9", "--data", "shapes", "--batches", "5", "--out", out)
	return out
}

func tensors(t *testing.T, file, level string) map[string]array.Value {
	t.Helper()
	r, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, err := r.Level(level)
	if err != nil {
		t.Fatal(err)
	}
	return l.Tensors
}

func TestExportSafetensors(t *testing.T) {
	file := twoLevels(t)
	out := filepath.Join(t.TempDir(), "w.safetensors")
	must(t, "export", file, "--level", "topk:0.9", "--format", "safetensors", "--out", out)
	f, err := safetensors.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := tensors(t, file, "topk:0.9")
	if len(f.Names()) != len(want) || f.Metadata()["level"] != "topk:0.9" {
		t.Errorf("%d tensors, %v", len(f.Names()), f.Metadata())
	}
	for name, v := range want {
		x, err := v.Decode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Tensor(name); err != nil || !bytes.Equal(got.Data, x.Data) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
	back := filepath.Join(t.TempDir(), "back.cram")
	must(t, "import", "--model", "small-cnn", out, "--out", back)
	if o := try(t.Context(), "export", file, "--format", "onnx", "--out", out); o.code != 1 || !strings.Contains(o.stderr, "name one of dense, topk:0.9") {
		t.Errorf("no level: %+v", o)
	}
	if o := try(t.Context(), "export", file, "--level", "dense", "--format", "tf", "--out", out); o.code != 2 || !strings.Contains(o.stderr, "safetensors or onnx") {
		t.Errorf("another format: %+v", o)
	}
}

// TestExportNowhere: what is wrong with --out is not blamed on the file that was read.
func TestExportNowhere(t *testing.T) {
	file, dir := twoLevels(t), t.TempDir()
	write(t, filepath.Join(dir, "file"), nil)
	if err := os.MkdirAll(filepath.Join(dir, "folder", "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{filepath.Join(dir, "none", "w"), filepath.Join(dir, "file", "w"), filepath.Join(dir, "folder")} {
		for _, format := range []string{"safetensors", "onnx"} {
			o := try(t.Context(), "export", file, "--level", "dense", "--format", format, "--out", out)
			stutters(t, o.stderr)
			if o.code != 1 || !strings.HasPrefix(o.stderr, "cram: save "+out+": ") || strings.Contains(o.stderr, file) {
				t.Errorf("%s to %s: %+v", format, out, o)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); left != nil {
		t.Errorf("export left %v", left)
	}
}

// TestReplace tells what writes from what holds: the first speaks for itself, and the old file stays.
func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w")
	write(t, path, []byte("old"))
	wrong := errors.New("the input is wrong")
	err := replace(path, func(w io.Writer) error {
		if _, err := w.Write([]byte("new")); err != nil {
			t.Error(err)
		}
		return wrong
	})
	if !errors.Is(err, wrong) || strings.Contains(err.Error(), path) || string(read(t, path)) != "old" {
		t.Errorf("%v, and the file holds %q", err, read(t, path))
	}
	if left, _ := filepath.Glob(path + ".*"); left != nil {
		t.Errorf("replace left %v", left)
	}
}

func TestConvert(t *testing.T) {
	file := twoLevels(t)
	dir := t.TempDir()
	one, half, back, dense := filepath.Join(dir, "one.cram"), filepath.Join(dir, "half.cram"), filepath.Join(dir, "back.cram"), filepath.Join(dir, "dense.cram")
	r := must(t, "convert", file, "--drop", "dense", "--encoding", "bitmask", "--out", one)
	if len(r) != 2 || r[0]["level"] != "topk:0.9" || r[0]["lossless"] != true {
		t.Errorf("convert printed %v", r)
	}
	before, after := tensors(t, file, "topk:0.9"), tensors(t, one, "")
	for name, v := range before {
		x, err := v.Decode()
		if err != nil {
			t.Fatal(err)
		}
		y, err := after[name].Decode()
		if err != nil || !bytes.Equal(x.Data, y.Data) {
			t.Errorf("%s differs after a lossless conversion: %v", name, err)
		}
	}
	if after["conv2.weight"].Encoding != array.Bitmask {
		t.Errorf("conv2.weight is stored %v", after["conv2.weight"].Encoding)
	}

	for _, d := range []string{"f16", "bf16"} {
		r = must(t, "convert", file, "--dtype", d, "--out", half)
		if len(r) != 3 || r[0]["lossless"] != false || r[0]["max_change"].(float64) > 0.01 {
			t.Errorf("convert to %s printed %v", d, r)
		}
		if must(t, "verify", half)[0]["intact"] != true {
			t.Errorf("the file in %s is damaged", d)
		}
		exact := must(t, "convert", half, "--dtype", "f32", "--out", back)
		again := must(t, "convert", back, "--dtype", d, "--out", dense)
		if exact[0]["lossless"] != true || again[0]["lossless"] != true || !bytes.Equal(read(t, half), read(t, dense)) {
			t.Errorf("%s to f32 and back: %v, %v", d, exact, again)
		}
		p, err := sdk.LoadSparse(half, sdk.Level("topk:0.9"))
		if err != nil {
			t.Fatal(err)
		}
		if w := p.Widened(); len(w) != 4 || w["conv1.weight"].String() != d {
			t.Errorf("widened from %s: %v", d, w)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		said := "half.cram: level dense: tensors stored in 16 bits are widened to f32 (4 " + d + ")"
		for _, args := range [][]string{
			{"eval", half, "--data", "shapes", "--limit", "10"},
			{"predict", half, "--level", "dense", shape(t, dir, 1), shape(t, dir, 1)},
			{"compress", half, "--with", "0.5", "--out", dense},
			{"train", "--init", half, "--model", "small-cnn", "--data", "shapes", "--limit", "10", "--epochs", "1", "--out", dense},
		} {
			if o := try(t.Context(), args...); o.code != 0 || strings.Count(o.stderr, said) != 1 {
				t.Errorf("%v: %+v, want %q once", args, o, said)
			}
			i := slices.Index(args, half)
			args[i] = file
			if o := try(t.Context(), args...); o.code != 0 || strings.Contains(o.stderr, "widened") {
				t.Errorf("%v: %+v, want nothing said of widening", args, o)
			}
		}
		full := must(t, "eval", file, "--level", "topk:0.9", "--data", "shapes", "--limit", "200")[0]
		small := must(t, "eval", half, "--level", "topk:0.9", "--data", "shapes", "--limit", "200")[0]
		widened := must(t, "eval", back, "--level", "topk:0.9", "--data", "shapes", "--limit", "200")[0]
		if small["loss"] != widened["loss"] || small["loss"] == full["loss"] {
			t.Errorf("loss of the file %v, in %s %v, widened again %v", full["loss"], d, small["loss"], widened["loss"])
		}
	}
	whole, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if small, err := os.Stat(half); err != nil || float64(small.Size()) > 0.75*float64(whole.Size()) {
		t.Errorf("in 16 bits the file has %d of %d bytes", small.Size(), whole.Size())
	}
	for _, args := range [][]string{{"--level", "topk:0.8"}, {"--drop", "dense,topk:0.9"}} {
		if o := try(t.Context(), append([]string{"convert", file, "--out", one}, args...)...); o.code != 1 {
			t.Errorf("%v: %+v", args, o)
		}
	}
}
