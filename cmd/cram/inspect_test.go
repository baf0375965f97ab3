package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
)

// TestStateUnread requires that inspect and convert do not read the state of a training: they work
// with a file whose state is damaged.
func TestStateUnread(t *testing.T) {
	f := readAll(t, twoLevels(t))
	momentum, err := array.From([]float32{1, 2, 3, 4}, 4)
	if err != nil {
		t.Fatal(err)
	}
	f.State = &checkpoint.State{Tensors: map[string]array.Value{"momentum": array.DenseValue(momentum)}}
	file := filepath.Join(t.TempDir(), "part.cram")
	if err := checkpoint.Save(file, f); err != nil {
		t.Fatal(err)
	}
	content := read(t, file)
	i := strings.LastIndex(string(content), string(momentum.Data))
	if i < 0 {
		t.Fatal("no state in the file")
	}
	content[i] ^= 1
	write(t, file, content)
	if o := try(t.Context(), "verify", file); o.code != 1 {
		t.Fatalf("the state is not damaged: %+v", o)
	}
	if r := must(t, "inspect", file)[0]; r["training"] != true || !strings.Contains(r["recipe"].(string), "; 1 epoch of 4 batches of 128") {
		t.Errorf("inspect printed %v", r)
	}
	if o := try(t.Context(), "convert", file, "--out", file+".out"); o.code != 1 || !strings.Contains(o.stderr, "is the checkpoint of a training in progress") {
		t.Errorf("convert: %+v", o)
	}
}

// TestInspectText requires the bytes of each tensor and its dense bytes.
func TestInspectText(t *testing.T) {
	x, err := array.New(array.F32, 1024)
	if err != nil {
		t.Fatal(err)
	}
	x.F32()[7] = 1
	v, err := x.Encode(array.Index16)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "one.cram")
	f := checkpoint.File{Levels: []checkpoint.Level{{Name: "thin", Tensors: map[string]array.Value{"w": v}}}}
	if err := checkpoint.Save(file, &f); err != nil {
		t.Fatal(err)
	}
	o := try(t.Context(), "inspect", file)
	for _, want := range []string{"\ndata      –\n", " B of 4.0 KiB\n", " zeros, ", " 1 tensor, ", "% of dense (4.0 KiB in f32)"} {
		if o.code != 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("inspect printed %s, want %q", o.stdout, want)
		}
	}
}
