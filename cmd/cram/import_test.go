package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/internal/testdata"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

func writeSafetensors(t *testing.T, path string, tensors map[string]array.Tensor) {
	t.Helper()
	values := map[string]array.Value{}
	for name, x := range tensors {
		values[name] = array.DenseValue(x)
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, values, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestImport(t *testing.T) {
	decls, _, err := nn.Declare(models.SmallCNN(10), graph.Floats("x", 3, 24, 24))
	if err != nil {
		t.Fatal(err)
	}
	initial, err := nn.Initial(decls, 1)
	if err != nil {
		t.Fatal(err)
	}
	counter, err := array.From([]int64{9}, 1)
	if err != nil {
		t.Fatal(err)
	}
	tensors := map[string]array.Tensor{"module.bn1.num_batches_tracked": counter}
	for name, x := range initial {
		tensors["module."+name] = x
	}
	dir := t.TempDir()
	weights, out := filepath.Join(dir, "w.safetensors"), filepath.Join(dir, "net.cram")
	command := []string{"import", "--model", "small-cnn", "--mean", ".3,.3,.3", "--std", ".2,.2,.2", weights, "--out", out}

	writeSafetensors(t, weights, tensors)
	r := must(t, command...)[0]
	if left := r["left_out"].([]any); r["tensors"] != float64(len(initial)) || len(left) != 1 {
		t.Errorf("import printed %v", r)
	}
	if o := try(t.Context(), "import", "--model", "small-cnn", weights, "--out", out); o.code != 0 || !strings.Contains(o.stderr, "raw values") {
		t.Errorf("without --mean and --std: %+v", o)
	}
	if s := must(t, "eval", out, "--data", "shapes", "--limit", "50")[0]; s["examples"] != 50.0 {
		t.Errorf("eval of the import: %v", s)
	}

	tensors["module.fc.scale"] = tensors["module.fc.bias"]
	delete(tensors, "module.fc.bias")
	writeSafetensors(t, weights, tensors)
	o := try(t.Context(), append(command, "--json")...)
	if o.code != 1 || !strings.Contains(o.stderr, "fc.bias is missing") || !strings.Contains(o.stderr, "fc.scale is unexpected") {
		t.Errorf("wrong names: %+v", o)
	}
	var report importResult
	if err := json.Unmarshal([]byte(o.stdout), &report); err != nil || len(report.Missing) != 1 || len(report.Unexpected) != 1 || report.File != "" {
		t.Errorf("the report is %+v, %v", report, err)
	}
}

// TestImportForeign requires a specific error for a cram checkpoint, and escaped names in the
// errors about tensors.
func TestImportForeign(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.cram")
	if o := try(t.Context(), "import", twoLevels(t), "--model", "small-cnn", "--out", out); o.code != 1 || !strings.Contains(o.stderr, "want a safetensors file") {
		t.Errorf("a checkpoint: %+v", o)
	}
	x, err := array.New(array.F32, 1)
	if err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(t.TempDir(), "w.safetensors")
	writeSafetensors(t, weights, map[string]array.Tensor{"a\nwrote x.cram": x, "b\u202e": x})
	o := try(t.Context(), "import", weights, "--model", "small-cnn", "--out", out)
	if o.code != 1 || !strings.Contains(o.stderr, `"a\nwrote x.cram" is unexpected`) || !strings.Contains(o.stderr, `"b\u202e" is unexpected`) {
		t.Errorf("hostile names: %+v", o)
	}
}

// TestImportPublished checks the forward pass with published weights: after the import they must
// have their published accuracy of 91.73 % on the whole CIFAR-10 test set.
func TestImportPublished(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: 10,000 images")
	}
	dir := testdata.Dir(t, "weights/resnet20-12fca82f.safetensors", "cifar-10-batches-bin")
	out := filepath.Join(t.TempDir(), "r.cram")
	r := must(t, "import", "--model", "resnet20a", "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225",
		filepath.Join(dir, "weights/resnet20-12fca82f.safetensors"), "--out", out)[0]
	if r["model"] != "resnet20a" || must(t, "verify", out)[0]["intact"] != true {
		t.Errorf("import printed %v", r)
	}
	s := must(t, "eval", out, "--data", "cifar10", "--data-dir", dir)[0]
	t.Logf("accuracy %v, loss %v on %v images", s["accuracy"], s["loss"], s["examples"])
	if s["accuracy"] != 0.9173 || s["examples"] != 10_000.0 {
		t.Errorf("eval printed %v, want 9,173 of 10,000 right", s)
	}
}

// TestImportMobileNet imports published weights in the names and layout of Keras, and classifies
// photographs. The right class must be among the first three.
func TestImportMobileNet(t *testing.T) {
	const weights, labels = "weights/mobilenet_v1_0.75_224.safetensors", "weights/mobilenet_v1_0.75_224.labels.json"
	dir := testdata.Dir(t, weights, labels, "photos/labels.tsv")
	out := filepath.Join(t.TempDir(), "m.cram")
	r := must(t, "import", "--model", "mobilenet_v1_0.75", "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5",
		"--labels", filepath.Join(dir, labels), filepath.Join(dir, weights), "--out", out)[0]
	if r["library"] != "keras 2" || r["tensors"] != 137.0 {
		t.Errorf("import printed %v", r)
	}
	list := photos(t, dir)
	for _, photo := range list {
		p := must(t, "predict", out, "--top", "3", filepath.Join(dir, "photos", photo.file))[0]
		t.Logf("%s: %v", photo.file, p["classes"])
		right := false
		for _, class := range p["classes"].([]any) {
			right = right || slices.Contains(photo.labels, int(class.(map[string]any)["label"].(float64)))
		}
		if !right {
			t.Errorf("%s: none of %v among %v", photo.file, photo.labels, p["classes"])
		}
	}
	if len(list) < 5 {
		t.Errorf("%d photos, want 5", len(list))
	}
}
