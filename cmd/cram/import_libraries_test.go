package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk"
)

// TestLogitsOfLibraries imports weights that other libraries have saved, and requires their logits
// within 1e-4 of the largest logit of each image.
func TestLogitsOfLibraries(t *testing.T) {
	dir := os.Getenv("CRAM_NAMES_DIR")
	if dir == "" {
		t.Skip("SKIPPED, a part of .ci/names: CRAM_NAMES_DIR is not set")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.answers.safetensors"))
	if err != nil || len(files) < 11 {
		t.Fatal(files, err)
	}
	for _, answers := range files {
		stem := strings.TrimSuffix(filepath.Base(answers), ".answers.safetensors")
		t.Run(stem, func(t *testing.T) {
			_, model, _ := strings.Cut(stem, "-")
			net := filepath.Join(t.TempDir(), "net.cram")
			must(t, "import", "--model", model, "--classes", "1000", filepath.Join(dir, stem+".safetensors"), "--out", net)
			f, err := safetensors.Open(answers)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			tensors, err := f.Tensors()
			if err != nil {
				t.Fatal(err)
			}
			x, want := tensors["in:x"], tensors["out:logits"].F32()
			p, err := sdk.LoadSparse(t.Context(), net, sdk.PredictorOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			y, err := p.Predict(t.Context(), tensor.New(tensor.WithShape(x.Dims...), tensor.WithBacking(x.F32())))
			if err != nil {
				t.Fatal(err)
			}
			got, images := y.Float32s(), x.Dims[0]
			classes := len(want) / images
			if len(got) != len(want) {
				t.Fatalf("%d logits, want %d", len(got), len(want))
			}
			worst, spread := 0.0, 0.0
			for i := range images {
				largest, far, apart := 0.0, 0.0, 0.0
				for k := i * classes; k < (i+1)*classes; k++ {
					largest = max(largest, math.Abs(float64(want[k])))
					far = max(far, math.Abs(float64(got[k]-want[k])))
					apart = max(apart, math.Abs(float64(want[k]-want[k%classes])))
				}
				worst, spread = max(worst, far/largest), max(spread, apart/largest)
			}
			t.Logf("relative error %.1e; images differ by %.0f %%", worst, 100*spread)
			if !(worst <= 1e-4) || spread < 0.1 {
				t.Errorf("relative error %.1e, images differ by %.0f %%: want at most 1e-4, at least 10 %%", worst, 100*spread)
			}
		})
	}
}
