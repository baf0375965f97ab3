package models_test

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/internal/testdata"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// sizes returns the number of parameters and the number of those that compressors prune.
func sizes(decls []nn.Decl) (all, prunable int) {
	for _, d := range decls {
		if d.Kind != graph.Param {
			continue
		}
		n := d.Shape.Size().C
		all += n
		if d.Role == graph.Kernel {
			prunable += n
		}
	}
	return all, prunable
}

// TestSizes compares the named models with the totals that torchvision, the papers and the ports to
// CIFAR publish. prunable is 0 where no total is published.
func TestSizes(t *testing.T) {
	want := map[string]struct{ classes, all, prunable int }{
		"mlp":       {10, 266_610, 266_200},
		"small-cnn": {10, 14_746, 14_576},
		// the total of resnet20a and two projections
		"resnet20":          {10, 269_722 + 2_752, 270_896},
		"resnet20a":         {10, 269_722, 0},
		"resnet32":          {10, 464_154 + 2_752, 0},
		"resnet56":          {10, 853_018 + 2_752, 0},
		"resnet18-cifar":    {10, 11_173_962, 0},
		"vgg16-bn-cifar":    {10, 14_728_266, 0},
		"resnet18":          {1000, 11_689_512, 0},
		"resnet34":          {1000, 21_797_672, 0},
		"resnet50":          {1000, 25_557_032, 0},
		"vgg16-bn":          {1000, 138_365_992, 0},
		"mobilenet_v1_0.25": {1000, 470_072, 0},
		"mobilenet_v1_0.5":  {1000, 1_331_592, 0},
		"mobilenet_v1_0.75": {1000, 2_585_560, 0},
		"mobilenet_v1_1.0":  {1000, 4_231_976, 0},
	}
	if len(models.Names()) != len(want) {
		t.Errorf("%d names, %d totals", len(models.Names()), len(want))
	}
	for _, name := range models.Names() {
		t.Run(name, func(t *testing.T) {
			w, ok := want[name]
			if !ok {
				t.Fatal("no published totals for this name")
			}
			m, input, err := models.New(name, w.classes)
			if err != nil {
				t.Fatal(err)
			}
			decls, out, err := nn.Declare(m, input)
			if err != nil {
				t.Fatal(err)
			}
			if logits := (graph.Type{DType: array.F32, Shape: graph.Batch(w.classes)}); !out.Equal(logits) {
				t.Errorf("output is %v, want %v", out, logits)
			}
			all, prunable := sizes(decls)
			if all != w.all || w.prunable != 0 && prunable != w.prunable {
				t.Errorf("%d parameters, %d prunable; want %d, %d", all, prunable, w.all, w.prunable)
			}
		})
	}
}

// TestTorchvisionNames checks some names that the small networks of TestPyTorch do not have: those
// of the projections of stages, and the numbers of VGG's layers.
func TestTorchvisionNames(t *testing.T) {
	for _, c := range []struct {
		model     string
		has, lack string
	}{
		{"resnet18", "layer2.0.downsample.0.weight layer2.0.downsample.1.running_var fc.bias", "layer1.0.downsample.0.weight conv1.bias"},
		{"resnet50", "layer1.0.downsample.0.weight layer4.2.conv3.weight layer4.2.bn3.bias", "layer1.1.downsample.0.weight"},
		{"vgg16-bn", "features.0.bias features.1.running_mean features.40.weight features.41.weight classifier.0.weight classifier.6.bias", "features.43.weight classifier.1.weight"},
		{"vgg16-bn-cifar", "features.40.weight classifier.weight", "classifier.0.weight"},
		{"resnet20", "layer2.0.shortcut.0.weight layer2.0.shortcut.1.weight linear.weight", "layer1.0.shortcut.0.weight"},
		{"resnet20a", "linear.bias", "layer2.0.shortcut.0.weight"},
	} {
		m, input, err := models.New(c.model, 10)
		if err != nil {
			t.Fatal(err)
		}
		decls, _, err := nn.Declare(m, input)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, d := range decls {
			names[d.Name] = true
		}
		for _, name := range strings.Fields(c.has) {
			if !names[name] {
				t.Errorf("%s lacks %s", c.model, name)
			}
		}
		for _, name := range strings.Fields(c.lack) {
			if names[name] {
				t.Errorf("%s has %s", c.model, name)
			}
		}
	}
}

// TestPublishedWeights compares the names and shapes of resnet20a with those of published weights.
func TestPublishedWeights(t *testing.T) {
	const file = "weights/resnet20-12fca82f.safetensors"
	f, err := os.Open(filepath.Join(testdata.Dir(t, file), file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The file begins with the length of a JSON header, eight bytes, little-endian.
	var n uint64
	if err := binary.Read(f, binary.LittleEndian, &n); err != nil {
		t.Fatal(err)
	}
	var header map[string]struct{ Shape []int }
	if err := json.NewDecoder(io.LimitReader(f, int64(n))).Decode(&header); err != nil {
		t.Fatal(err)
	}
	want, got := map[string][]int{}, map[string][]int{}
	for name, tensor := range header {
		if name != "__metadata__" {
			want[name] = tensor.Shape
		}
	}
	decls, _, err := nn.Declare(models.ResNet{Blocks: []int{3, 3, 3}, Widths: []int{16, 32, 64}, PadShortcut: true, Classes: 10}, graph.Floats("x", 3, 32, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range decls {
		got[d.Name], _ = d.Shape.Dims()
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name  string
		model nn.Model
		input graph.Field
		want  string
	}{
		{"stages", models.ResNet{Blocks: []int{1}, Widths: []int{4, 8}, Classes: 2}, graph.Floats("x", 3, 8, 8), "as many Blocks as Widths, at least one, got 1 and 2"},
		{"no stages", models.ResNet{Classes: 2}, graph.Floats("x", 3, 8, 8), "at least one"},
		{"blocks", models.ResNet{Blocks: []int{1, 0}, Widths: []int{4, 8}, Classes: 2}, graph.Floats("x", 3, 8, 8), "Blocks[1] is 0"},
		{"width", models.ResNet{Blocks: []int{1}, Widths: []int{0}, Classes: 2}, graph.Floats("x", 3, 8, 8), "conv1 (Conv2D): want Out of at least 1, got 0"},
		{"shrinking padding", models.ResNet{Blocks: []int{1, 1}, Widths: []int{8, 4}, PadShortcut: true, Classes: 2}, graph.Floats("x", 3, 8, 8), "want Widths that do not decrease"},
		{"classes", models.ResNet20(0), graph.Floats("x", 3, 8, 8), "linear (Linear): want Out of at least 1, got 0"},
		{"vector", models.ResNet20(10), graph.Floats("x", 3), "conv1 (Conv2D): want x of rank 4"},
		{"vgg for large images", models.VGG16BN(10), graph.Floats("x", 3, 32, 32), "want features of height and width 7"},
		{"vgg without layers", models.VGG{ImageNet: true, Classes: 2}, graph.Floats("x"), "want features of height and width 7"},
		{"image too small", models.VGG{Widths: [][]int{{4}, {4}, {4}, {4}, {4}}, Classes: 10}, graph.Floats("x", 3, 16, 16), "larger than the padded image"},
		{"perceptron", models.MLP{Hidden: []int{0}, Classes: 2}, graph.Floats("x", 3), "fc1 (Linear): want Out of at least 1, got 0"},
	} {
		if _, _, err := nn.Declare(c.model, c.input); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if _, _, err := models.New("resnet21", 10); err == nil || !strings.Contains(err.Error(), "resnet20a") {
		t.Errorf("unknown name: error %v, want one that lists the known", err)
	}
	if _, _, err := models.New("resnet20", 0); err == nil {
		t.Error("no classes: no error")
	}
}
