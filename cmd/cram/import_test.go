package main

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/internal/testdata"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// writeSafetensors writes float32 tensors, and a counter as PyTorch keeps it.
func writeSafetensors(t *testing.T, path string, tensors map[string]graph.Tensor) {
	t.Helper()
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header := map[string]entry{}
	var payload []byte
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		x := tensors[name]
		kind := map[graph.DType]string{graph.F32: "F32", graph.I64: "I64"}[x.DType]
		header[name] = entry{kind, append([]int{}, x.Dims...), [2]int{len(payload), len(payload) + len(x.Data)}}
		payload = append(payload, x.Data...)
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	content := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	if err := os.WriteFile(path, slices.Concat(content, text, payload), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestImport(t *testing.T) {
	decls, _, err := nn.Declare(models.SmallCNN(10), graph.Batch(3, 24, 24))
	if err != nil {
		t.Fatal(err)
	}
	initial, err := nn.Initial(decls, 1)
	if err != nil {
		t.Fatal(err)
	}
	counter, err := graph.FromI64([]int64{9}, 1)
	if err != nil {
		t.Fatal(err)
	}
	tensors := map[string]graph.Tensor{"module.bn1.num_batches_tracked": counter}
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
	if s := must(t, "eval", out, "--data", "shapes", "--limit", "50")[0]; s["examples"] != 50.0 {
		t.Errorf("eval of the import: %v", s)
	}

	tensors["module.fc.scale"] = tensors["module.fc.bias"]
	delete(tensors, "module.fc.bias")
	writeSafetensors(t, weights, tensors)
	if o := try(t.Context(), command...); o.code != 1 || !strings.Contains(o.stderr, "fc.bias is missing") || !strings.Contains(o.stderr, "fc.scale is unexpected") {
		t.Errorf("wrong names: %+v", o)
	}
}

// TestImportPublished imports real weights from a file that PyTorch's users made.
func TestImportPublished(t *testing.T) {
	dir := testdata.Dir(t, "weights/resnet20-12fca82f.safetensors")
	out := filepath.Join(t.TempDir(), "r.cram")
	r := must(t, "import", "--model", "resnet20a", "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225",
		filepath.Join(dir, "weights/resnet20-12fca82f.safetensors"), "--out", out)[0]
	if r["model"] != "resnet20a" || must(t, "verify", out)[0]["intact"] != true {
		t.Errorf("import printed %v", r)
	}
}
