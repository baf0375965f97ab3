package main

import (
	"path/filepath"
	"testing"

	"github.com/compressaware/cram/sdk"
)

// TestTour holds that the program in README.md runs.
func TestTour(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: trains a network")
	}
	path := filepath.Join(t.TempDir(), "shapes.cram")
	if err := train(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := evaluate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	net, err := sdk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if levels := net.Levels(); len(levels) != 3 {
		t.Errorf("levels %q, want three", levels)
	}
}
