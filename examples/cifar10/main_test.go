package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

func TestMethodOf(t *testing.T) {
	for _, name := range []string{"sgd", "sam", "cram", "cram+", "one-pass"} {
		m, err := methodOf(name, 0.2)
		if err != nil || m.Check() != nil {
			t.Errorf("%s: %v, %v", name, err, m.Check())
		}
	}
	if _, err := methodOf("adam", 0.2); err == nil {
		t.Error("no error for adam, which is no method")
	}
}

// TestRunWithoutData holds that the error for missing data has the command that fetches the data.
func TestRunWithoutData(t *testing.T) {
	dir := t.TempDir()
	err := run(t.Context(), dir, filepath.Join(dir, "net.cram"), optim.Plain(), 1, 1)
	if err == nil || !strings.Contains(err.Error(), "cram data fetch cifar10") {
		t.Errorf("got %v, want the command that fetches the data", err)
	}
}

// TestTable measures an untrained network on drawn images, and prints a table.
func TestTable(t *testing.T) {
	model := models.SmallCNN(10)
	decls, _, err := nn.Declare(model, graph.Floats("x", 3, 24, 24))
	if err != nil {
		t.Fatal(err)
	}
	weights, err := nn.Initial(decls, 1)
	if err != nil {
		t.Fatal(err)
	}
	net, err := sdk.FromWeights(model, sdk.Info{Inputs: []sdk.Port{{Shape: graph.Batch(3, 24, 24)}}}, weights)
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.Shapes(50, 0)
	if err != nil {
		t.Fatal(err)
	}
	row, err := accuracies(t.Context(), net, sdk.Calibration{Set: set, Batches: 2, Batch: 16}, set)
	if err != nil {
		t.Fatal(err)
	}
	if len(row) != len(measured) {
		t.Fatalf("%d accuracies for %d levels", len(row), len(measured))
	}
	got := table("net", []float64{.91, .9, .8, .7, .6, .5}, []float64{.91, .89, .7, .5, .3, .1})
	want := `| | dense | topk:0.5 | topk:0.7 | topk:0.8 | topk:0.9 | topk:0.95 |
|---|---|---|---|---|---|---|
| net | 91.00 | 90.00 (89.00) | 80.00 (70.00) | 70.00 (50.00) | 60.00 (30.00) | 50.00 (10.00) |`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
