package reference

import (
	"testing"

	"github.com/compressaware/cram/sdk/graph"
)

func TestEveryOpHasOneKernel(t *testing.T) {
	for _, d := range graph.Ops() {
		source := d.Op == graph.OpInput || d.Op == graph.OpSlot
		if _, ok := kernels[d.Op]; ok == source {
			t.Errorf("%s: kernel in the table: %v, want %v", d.Op, ok, !source)
		}
	}
	if want := len(graph.Ops()) - 2; len(kernels) != want {
		t.Errorf("%d kernels for %d ops", len(kernels), want)
	}
}
