package sdk_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk"
)

// testdata/shapes.cram is what this wrote: go test ./sdk -run TestEmbedded -update
var update = flag.Bool("update", false, "write testdata/shapes.cram")

// TestEmbedded holds that a network in an embed.FS has the outputs of its file.
func TestEmbedded(t *testing.T) {
	leaksNothing(t)
	const path = "testdata/shapes.cram"
	if *update {
		made := exampleFile()
		defer os.RemoveAll(filepath.Dir(made))
		if err := os.WriteFile(path, must(os.ReadFile(made)), 0o666); err != nil {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: the embedded file is still the old one")
	}
	if b := must(os.ReadFile(path)); !bytes.Equal(must(fs.ReadFile(networks, path)), b) || len(b) > 20<<10 {
		t.Fatalf("%s has %d bytes and is not what is embedded, or is too large", path, len(b))
	}
	x := images(pixels(t, 5))
	outputs := map[string][]float32{}
	for _, level := range []string{"dense", "topk:0.9"} {
		file := load(t, path, sdk.PredictorOptions{Level: level})
		defer file.Close()
		outputs[level] = predict(t, file, x)
		p, err := sdk.LoadSparseFS(t.Context(), networks, path, sdk.PredictorOptions{Level: level, Pin: file.Plan()})
		if err != nil {
			t.Fatal(err)
		}
		if got := predict(t, p, x); !slices.Equal(got, outputs[level]) {
			t.Errorf("%s: outputs %v, the file gives %v", level, got, outputs[level])
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if slices.Equal(outputs["dense"], outputs["topk:0.9"]) {
		t.Error("both levels have the same outputs: the test cannot tell them apart")
	}
}
