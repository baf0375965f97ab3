package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/optim"
)

func TestEstimatorOf(t *testing.T) {
	for _, method := range []string{"sgd", "sam", "cram", "cram+"} {
		e, err := estimatorOf(method, 0.2)
		if err != nil || e.Check() != nil {
			t.Errorf("%s: %v, %v", method, err, e.Check())
		}
	}
	if _, err := estimatorOf("adam", 0.2); err == nil {
		t.Error("adam is no method: expected an error")
	}
}

// TestRunWithoutData: who has no data yet is told how to get it.
func TestRunWithoutData(t *testing.T) {
	dir := t.TempDir()
	err := run(t.Context(), dir, filepath.Join(dir, "net.cram"), optim.Plain(), 1, 1)
	if err == nil || !strings.Contains(err.Error(), "cram data fetch cifar10") {
		t.Errorf("got %v, want the command that fetches the data", err)
	}
}
