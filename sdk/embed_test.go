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
var update = flag.Bool("update", false, "write testdata/shapes.cram anew")

// TestEmbedded: a network that is compiled into the program, as bytes or in an embed.FS, answers as its file does.
func TestEmbedded(t *testing.T) {
	leaksNothing(t)
	const path = "testdata/shapes.cram"
	if *update {
		made := exampleFile()
		defer os.RemoveAll(filepath.Dir(made))
		if err := os.WriteFile(path, must(os.ReadFile(made)), 0o666); err != nil {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: what is embedded is still the old file")
	}
	if b := must(os.ReadFile(path)); !bytes.Equal(network, b) || !bytes.Equal(must(fs.ReadFile(networks, path)), b) || len(b) > 20<<10 {
		t.Fatalf("%s has %d bytes, %d are embedded", path, len(b), len(network))
	}
	x := images(pixels(t, 5))
	answers := map[string][]float32{}
	for _, name := range []string{"dense", "topk:0.9"} {
		level := sdk.Level(name)
		file := load(t, path, level)
		defer file.Close()
		want := predict(t, file, x)
		answers[name] = want
		pinned := sdk.Pin(file.Plan())
		for door, load := range map[string]func() (*sdk.Predictor, error){
			"bytes": func() (*sdk.Predictor, error) {
				return sdk.LoadSparseFrom(bytes.NewReader(network), int64(len(network)), level, pinned)
			},
			"embed.FS": func() (*sdk.Predictor, error) { return sdk.LoadSparseFS(networks, path, level, pinned) },
		} {
			p, err := load()
			if err != nil {
				t.Fatalf("%s: %v", door, err)
			}
			if got := predict(t, p, x); !slices.Equal(got, want) {
				t.Errorf("%s at %s: %v, the file gives %v", door, name, got, want)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if slices.Equal(answers["dense"], answers["topk:0.9"]) {
		t.Error("both levels answer alike: the test cannot tell them apart")
	}
}
