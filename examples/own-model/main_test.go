package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk"
)

func TestTrain(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: trains a network")
	}
	path := filepath.Join(t.TempDir(), "own.cram")
	if err := train(t.Context(), path, 1); err != nil {
		t.Fatal(err)
	}
	net, err := sdk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"topk:0.8", "nm:2:4", "dense"}; !slices.Equal(net.Levels(), want) {
		t.Errorf("levels %v, want %v", net.Levels(), want)
	}
}
