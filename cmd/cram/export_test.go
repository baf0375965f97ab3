package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk/array"
)

// twoLevels writes a file with the levels dense and topk:0.9 of a network after a short training.
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

// TestExportNowhere requires errors about --out that do not contain the name of the input.
func TestExportNowhere(t *testing.T) {
	file, dir := twoLevels(t), t.TempDir()
	write(t, filepath.Join(dir, "file"), nil)
	if err := os.MkdirAll(filepath.Join(dir, "directory", "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{filepath.Join(dir, "none", "w"), filepath.Join(dir, "file", "w"), filepath.Join(dir, "directory")} {
		for _, format := range []string{"safetensors", "onnx"} {
			o := try(t.Context(), "export", file, "--level", "dense", "--format", format, "--out", out)
			noRepeats(t, o.stderr)
			if o.code != 1 || !strings.HasPrefix(o.stderr, "cram: save "+out+": ") || strings.Contains(o.stderr, file) {
				t.Errorf("%s to %s: %+v", format, out, o)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); left != nil {
		t.Errorf("export left %v", left)
	}
}

// TestReplace requires that an error of the writer is returned unchanged, and that the old file
// remains.
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
