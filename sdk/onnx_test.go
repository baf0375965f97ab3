package sdk_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/checkpoint/onnx"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// TestWriteForONNXRuntime writes networks as ONNX with inputs and cram's answers beside them, for .ci/onnx to compare.
func TestWriteForONNXRuntime(t *testing.T) {
	dir, size := os.Getenv("CRAM_ONNX_DIR"), os.Getenv("CRAM_ONNX_SIZE")
	if dir == "" {
		t.Skip("SKIPPED, a part of .ci/onnx: CRAM_ONNX_DIR is not set")
	}
	names := map[string][]string{
		"short": {"resnet20", "resnet20a", "vgg16-bn-cifar", "mobilenet_v1_0.25"},
		"long":  {"resnet50", "vgg16-bn", "mobilenet_v1_0.75", "resnet56"},
	}[size]
	if len(names) == 0 {
		t.Fatalf("CRAM_ONNX_SIZE is %q, must be short or long", size)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { writeForONNXRuntime(t, dir, name) })
	}
}

func writeForONNXRuntime(t *testing.T, dir, name string) {
	net := randomNetwork(t, name, 10)
	x, shape := inputs(t, net.Info().Input.Shape, 4)
	set, err := data.FromSlices(shape[1:], x, make([]int, shape[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	// Tuned statistics keep the signal alive through random weights, so that the answers depend on the inputs.
	levels, err := sdk.Compress(t.Context(), net, sdk.Calibration{Set: set, Batch: 4, Batches: 40}, compress.Dense{}, compress.Uniform(0.8))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "net.cram")
	if err := levels.Save(file); err != nil {
		t.Fatal(err)
	}
	r, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	program, err := r.Program("infer")
	if err != nil {
		t.Fatal(err)
	}
	for k, level := range levels.Levels() {
		p, err := sdk.LoadSparse(file, sdk.Level(level))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		y, err := p.Predict(t.Context(), tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x)))
		if err != nil {
			t.Fatal(err)
		}
		l, err := r.Level(level)
		if err != nil {
			t.Fatal(err)
		}
		m := onnx.Model{Name: name, Program: program, Tensors: l.Tensors}
		folded, err := onnx.Fold(m)
		if err != nil {
			t.Fatal(err)
		}
		for kind, m := range map[string]onnx.Model{"whole": m, "folded": folded} {
			stem := filepath.Join(dir, fmt.Sprintf("%s-%s-%s", name, []string{"dense", "pruned"}[k], kind))
			var b bytes.Buffer
			if err := onnx.Write(&b, m); err != nil {
				t.Fatal(err)
			}
			for suffix, content := range map[string][]byte{".onnx": b.Bytes(), ".input.f32": floats(x), ".output.f32": floats(y.Float32s())} {
				if err := os.WriteFile(stem+suffix, content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// randomNetwork returns a named model with random weights and statistics, none of them trivial.
func randomNetwork(t *testing.T, name string, classes int) *sdk.Network {
	t.Helper()
	m, published, err := models.New(name, classes)
	if err != nil {
		t.Fatal(err)
	}
	decls, _, err := nn.Declare(m, published)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := nn.Initial(decls, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := data.NewRandom(2)
	for _, d := range decls {
		if d.Role == graph.Kernel {
			if s := d.Shape; len(s) == 4 && s[1].C == 1 { // depthwise kernels begin small, and pruning would take them all
				for i := range weights[d.Name].F32() {
					weights[d.Name].F32()[i] *= float32(math.Sqrt(float64(s[0].C)))
				}
			}
			continue
		}
		for i := range weights[d.Name].F32() { // gains and variances around 1, the rest around 0
			weights[d.Name].F32()[i] *= 0.7 + 0.6*r.Float32()
			if weights[d.Name].F32()[i] == 0 {
				weights[d.Name].F32()[i] = r.Float32() - 0.5
			}
		}
	}
	shape := []int{published[1].C, published[2].C, published[3].C}
	net, err := sdk.FromWeights(m, sdk.Info{Model: name, Input: sdk.Input{
		Shape: shape, Mean: []float32{.485, .456, .406}, Std: []float32{.229, .224, .225},
	}}, weights)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// inputs returns n drawn pictures, scaled to the network's size.
func inputs(t *testing.T, shape []int, n int) (x []float32, dims []int) {
	t.Helper()
	set, err := data.Shapes(n, 5)
	if err != nil {
		t.Fatal(err)
	}
	side, from := shape[1], set.Shape()[1]
	picture := make([]float32, 3*from*from)
	for i := range n {
		if _, err := set.Read(i, picture); err != nil {
			t.Fatal(err)
		}
		for c := range 3 {
			for k := range side * side {
				x = append(x, picture[c*from*from+k/side*from/side*from+k%side*from/side])
			}
		}
	}
	return x, append([]int{n}, shape...)
}

func floats(x []float32) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, x)
	if err != nil {
		panic(err) // never: floats have a size
	}
	return b
}
