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

// TestForONNXRuntime converts networks from safetensors to ONNX, dense and pruned, with and without
// folded batch norms. It writes them to CRAM_ONNX_DIR with images and the logits of cram, which
// .ci/onnx compares with those of ONNX Runtime.
func TestForONNXRuntime(t *testing.T) {
	dir, size := os.Getenv("CRAM_ONNX_DIR"), os.Getenv("CRAM_ONNX_SIZE")
	if dir == "" {
		t.Skip("SKIPPED, a part of .ci/onnx: CRAM_ONNX_DIR is not set")
	}
	const resnet20, mobilenet, labels = "weights/resnet20-12fca82f.safetensors", "weights/mobilenet_v1_0.75_224.safetensors", "weights/mobilenet_v1_0.75_224.labels.json"
	// levels at which random weights still give distinct logits
	const resnet, vgg, mobile = "topk:0.9", "topk:0.9", "topk:0.5"
	random := map[string][][2]string{
		"short": {{"resnet20", resnet}, {"vgg16-bn-cifar", vgg}, {"mobilenet_v1_0.5", mobile}},
		"long":  {{"resnet56", resnet}, {"resnet50", resnet}, {"vgg16-bn", vgg}, {"mobilenet_v1_0.75", mobile}},
	}[size]
	if len(random) == 0 {
		t.Fatalf("CRAM_ONNX_SIZE: want short or long, got %q", size)
	}
	for _, r := range random {
		model, pruned := r[0], r[1]
		t.Run(model, func(t *testing.T) {
			weights := filepath.Join(t.TempDir(), "random.safetensors")
			side := writeRandom(t, weights, model)
			net := importedNet(t, model, weights, ".485,.456,.406", ".229,.224,.225")
			// topk:0 is the dense network with tuned statistics, without which random weights lose
			// the signal.
			writeONNX(t, filepath.Join(dir, model), net, images(t, side), "topk:0", pruned)
		})
	}
	t.Run("published-resnet20", func(t *testing.T) {
		from := testdata.Dir(t, resnet20)
		net := importedNet(t, "resnet20a", filepath.Join(from, resnet20), ".485,.456,.406", ".229,.224,.225")
		writeONNX(t, filepath.Join(dir, "published-resnet20"), net, images(t, 32), "dense", "topk:0.9")
	})
	t.Run("published-mobilenet", func(t *testing.T) {
		from := testdata.Dir(t, mobilenet, labels)
		net := importedNet(t, "mobilenet_v1_0.75", filepath.Join(from, mobilenet), ".5,.5,.5", ".5,.5,.5", "--labels", filepath.Join(from, labels))
		a := images(t, 224)
		a.tune = append(a.tune, "--batches", "100")
		writeONNX(t, filepath.Join(dir, "published-mobilenet"), net, a, "dense", "topk:0.5")
	})
}

// importedNet returns the file that cram import writes.
func importedNet(t *testing.T, model, weights, mean, std string, more ...string) string {
	t.Helper()
	net := filepath.Join(t.TempDir(), "net.cram")
	must(t, append([]string{"import", weights, "--model", model, "--mean", mean, "--std", std, "--out", net}, more...)...)
	return net
}

// writeONNX writes stem-dense-whole.onnx, stem-pruned-folded.onnx and so on, and the inputs and
// logits to files with the same stems.
func writeONNX(t *testing.T, stem, net string, a imageSet, dense, pruned string) {
	t.Helper()
	levels := filepath.Join(t.TempDir(), "levels.cram")
	must(t, append([]string{"compress", net, "--with", dense + "," + pruned, "--out", levels}, a.tune...)...)
	for name, level := range map[string]string{"dense": dense, "pruned": pruned} {
		p, err := sdk.LoadSparse(t.Context(), levels, sdk.PredictorOptions{Level: level})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		y, err := p.Predict(t.Context(), tensor.New(tensor.WithShape(a.x.Dims...), tensor.WithBacking(a.x.F32())))
		if err != nil {
			t.Fatal(err)
		}
		logits, err := array.From(y.Float32s(), y.Shape()...)
		if err != nil {
			t.Fatal(err)
		}
		tensors := map[string]array.Tensor{"in:x": a.x, "out:logits": logits}
		if a.labels != nil {
			tensors["labels"] = rectangle(t, a.labels)
		}
		for kind, fold := range map[string]string{"whole": "--fold-bn=false", "folded": "--fold-bn"} {
			file := fmt.Sprintf("%s-%s-%s", stem, name, kind)
			must(t, "export", levels, "--level", level, "--format", "onnx", fold, "--out", file+".onnx")
			writeSafetensors(t, file+".safetensors", tensors)
		}
	}
}

// writeRandom writes random weights and statistics for a model of ten classes, and returns the side
// of its images.
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
		if d.Role == graph.Kernel { // mean square 1, so that pruning removes the same part of each
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
	return input.Shape[1].C
}

// rectangle returns rows of labels as a tensor. The last label of a shorter row is repeated.
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
