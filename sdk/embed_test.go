package sdk_test

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// The examples read testdata/shapes.cram, which this command writes:
//
//	go test ./sdk -run TestEmbedded -update
var update = flag.Bool("update", false, "write testdata/shapes.cram")

// exampleNetwork trains a network on 64 images and returns it with the levels dense and topk:0.9.
func exampleNetwork(t *testing.T) *sdk.Network {
	t.Helper()
	train := shapes(t, 64, 0)
	tr := sdk.Trainer{
		Model:  models.CNN{Widths: []int{8, 8}, Classes: 10},
		Method: optim.CrAMPlus(0.1, compress.TopK(.5), compress.TopK(.9)),
		Epochs: 2, Batch: 32, Seed: 1,
	}
	c := sdk.Calibration{Set: train, Batches: 10}
	net, err := sdk.Compress(t.Context(), fit(t, tr, train, nil), c, compress.Identity{}, compress.TopK(.9))
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// TestEmbedded holds that a network in an embed.FS has the outputs of its file.
func TestEmbedded(t *testing.T) {
	leaksNothing(t)
	const path = "testdata/shapes.cram"
	if *update {
		if err := exampleNetwork(t).Save(path); err != nil {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: the test binary has the file of before embedded")
	}
	onDisk, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := networks.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(embedded, onDisk) || len(onDisk) > 20<<10 {
		t.Fatalf("%s has %d bytes and differs from the embedded file, or is too large", path, len(onDisk))
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
		t.Error("both levels have the same outputs: the test cannot fail")
	}
}
