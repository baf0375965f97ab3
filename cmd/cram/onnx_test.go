package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/internal/testdata"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// TestForONNXRuntime takes networks from safetensors to ONNX as a user does, and leaves them in CRAM_ONNX_DIR with images and cram's
// answers beside them, for .ci/onnx to compare: dense and pruned, with their batch norms and without.
func TestForONNXRuntime(t *testing.T) {
	dir, size := os.Getenv("CRAM_ONNX_DIR"), os.Getenv("CRAM_ONNX_SIZE")
	if dir == "" {
		t.Skip("SKIPPED, a part of .ci/onnx: CRAM_ONNX_DIR is not set")
	}
	const resnet20, mobilenet, labels = "weights/resnet20-12fca82f.safetensors", "weights/mobilenet_v1_0.75_224.safetensors", "weights/mobilenet_v1_0.75_224.labels.json"
	const resnet, vgg, mobile = "topk:0.9", "topk:0.9", "topk:0.5" // what random weights survive
	random := map[string][][2]string{
		"short": {{"resnet20", resnet}, {"vgg16-bn-cifar", vgg}, {"mobilenet_v1_0.5", mobile}},
		"long":  {{"resnet56", resnet}, {"resnet50", resnet}, {"vgg16-bn", vgg}, {"mobilenet_v1_0.75", mobile}},
	}[size]
	if len(random) == 0 {
		t.Fatalf("CRAM_ONNX_SIZE is %q, must be short or long", size)
	}
	for _, r := range random {
		model, pruned := r[0], r[1]
		t.Run(model, func(t *testing.T) {
			weights := filepath.Join(t.TempDir(), "random.safetensors")
			side := writeRandom(t, weights, model)
			net := importedNet(t, model, weights, ".485,.456,.406", ".229,.224,.225")
			// topk:0 is dense with tuned statistics, which keep the signal alive through random weights.
			writeONNX(t, filepath.Join(dir, model), net, pictures(t, side), "topk:0", pruned)
		})
	}
	t.Run("published-resnet20", func(t *testing.T) {
		from := testdata.Dir(t, resnet20)
		net := importedNet(t, "resnet20a", filepath.Join(from, resnet20), ".485,.456,.406", ".229,.224,.225")
		writeONNX(t, filepath.Join(dir, "published-resnet20"), net, pictures(t, 32), "dense", "topk:0.9")
	})
	t.Run("published-mobilenet", func(t *testing.T) {
		from := testdata.Dir(t, mobilenet, labels)
		net := importedNet(t, "mobilenet_v1_0.75", filepath.Join(from, mobilenet), ".5,.5,.5", ".5,.5,.5", "--labels", filepath.Join(from, labels))
		a := pictures(t, 224)
		a.tune = append(a.tune, "--batches", "100")
		writeONNX(t, filepath.Join(dir, "published-mobilenet"), net, a, "dense", "topk:0.5")
	})
}

// importedNet returns the file that the command makes of weights.
func importedNet(t *testing.T, model, weights, mean, std string, more ...string) string {
	t.Helper()
	net := filepath.Join(t.TempDir(), "net.cram")
	must(t, append([]string{"import", weights, "--model", model, "--mean", mean, "--std", std, "--out", net}, more...)...)
	return net
}

// writeONNX writes stem-dense-whole.onnx, stem-pruned-folded.onnx, …, and with the same stems what goes in and must come out.
func writeONNX(t *testing.T, stem, net string, a album, dense, pruned string) {
	t.Helper()
	levels := filepath.Join(t.TempDir(), "levels.cram")
	must(t, append([]string{"compress", net, "--with", dense + "," + pruned, "--out", levels}, a.tune...)...)
	for name, level := range map[string]string{"dense": dense, "pruned": pruned} {
		p, err := sdk.LoadSparse(levels, sdk.Level(level))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		y, err := p.Predict(t.Context(), tensor.New(tensor.WithShape(a.x.Dims...), tensor.WithBacking(a.x.F32())))
		if err != nil {
			t.Fatal(err)
		}
		logits, err := array.FromF32(y.Float32s(), y.Shape()...)
		if err != nil {
			t.Fatal(err)
		}
		tensors := map[string]array.Tensor{"in:x": a.x, "out:logits": logits}
		if a.seen != nil {
			tensors["seen"] = rectangle(t, a.seen)
		}
		for kind, fold := range map[string]string{"whole": "--fold-bn=false", "folded": "--fold-bn"} {
			file := fmt.Sprintf("%s-%s-%s", stem, name, kind)
			must(t, "export", levels, "--level", level, "--format", "onnx", fold, "--out", file+".onnx")
			writeSafetensors(t, file+".safetensors", tensors)
		}
	}
}

// writeRandom writes weights and statistics for a model of ten classes, none of them trivial, and returns the side of its images.
func writeRandom(t *testing.T, path, name string) (side int) {
	t.Helper()
	m, input, err := models.New(name, 10)
	if err != nil {
		t.Fatal(err)
	}
	decls, _, err := nn.Declare(m, input)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := nn.Initial(decls, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := data.NewRandom(2)
	for _, d := range decls {
		w := weights[d.Name].F32()
		if d.Role == graph.Kernel { // all of mean square 1, so that pruning takes from each alike
			square := 0.0
			for _, v := range w {
				square += float64(v) * float64(v)
			}
			for i := range w {
				w[i] /= float32(math.Sqrt(square / float64(len(w))))
			}
			continue
		}
		for i := range w { // gains and variances around 1, the rest around 0
			w[i] *= 0.7 + 0.6*r.Float32()
			if w[i] == 0 {
				w[i] = r.Float32() - 0.5
			}
		}
	}
	writeSafetensors(t, path, weights)
	return input[2].C
}

// rectangle returns rows of labels as a tensor, repeating the last of each row where others are longer.
func rectangle(t *testing.T, rows [][]int) array.Tensor {
	t.Helper()
	width := 0
	for _, row := range rows {
		width = max(width, len(row))
	}
	x, err := array.New(array.I32, len(rows), width)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		for k := range width {
			x.I32()[i*width+k] = int32(row[min(k, len(row)-1)])
		}
	}
	return x
}
