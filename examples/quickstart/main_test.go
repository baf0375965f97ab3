package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestRun holds that 90 % zeros ruin the accuracy of the SGD network and not that of the CrAM+ one.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: trains two networks")
	}
	var stdout, stderr bytes.Buffer
	table, err := run(t.Context(), t.TempDir(), &stdout, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	sgd, cram := table["SGD"], table["CrAM+-Multi"]
	t.Log(stdout.String())
	// Measured: SGD 97 % dense and 65 % at 90 %; CrAM+ 97 % and 94 %.
	if sgd[0] < 0.93 || cram[0] < 0.93 {
		t.Errorf("dense accuracies %.3f and %.3f: the networks have not learned", sgd[0], cram[0])
	}
	if sgd[4] > 0.75 || cram[4] < 0.90 {
		t.Errorf("at 90 %%: SGD %.3f, CrAM+ %.3f; want a collapse of the first alone", sgd[4], cram[4])
	}
	if !strings.Contains(stdout.String(), "is taken for a") {
		t.Error("no prediction was printed")
	}
}
