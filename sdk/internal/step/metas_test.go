package step

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// TestMetas holds that Metas returns the parameters in order and marks the first and the last
// kernel.
func TestMetas(t *testing.T) {
	b := graph.NewBuilder()
	slot := func(name string, kind graph.SlotKind, role graph.Role, dims ...int) {
		n := b.Slot(graph.Slot{Name: name, Kind: kind, Role: role, Type: graph.Type{DType: array.F32, Shape: graph.Of(dims...)}})
		b.Output(name, n)
	}
	slot("table", graph.Param, graph.Embedding, 10, 4)
	slot("conv1.weight", graph.Param, graph.Kernel, 8, 3, 3, 3)
	slot("bn1.running_mean", graph.Stat, graph.Other, 8)
	slot("bn1.weight", graph.Param, graph.Norm, 8)
	slot("conv2.weight", graph.Param, graph.Kernel, 8, 8, 1, 1)
	slot("momentum/fc.weight", graph.OptimizerState, graph.Other, 5, 8)
	slot("fc.weight", graph.Param, graph.Kernel, 5, 8)
	slot("fc.bias", graph.Param, graph.Bias, 5)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	want := []compress.Meta{
		{Name: "table", Role: graph.Embedding, Dims: []int{10, 4}},
		{Name: "conv1.weight", Role: graph.Kernel, Dims: []int{8, 3, 3, 3}, First: true},
		{Name: "bn1.weight", Role: graph.Norm, Dims: []int{8}},
		{Name: "conv2.weight", Role: graph.Kernel, Dims: []int{8, 8, 1, 1}},
		{Name: "fc.weight", Role: graph.Kernel, Dims: []int{5, 8}, Last: true},
		{Name: "fc.bias", Role: graph.Bias, Dims: []int{5}},
	}
	if diff := cmp.Diff(want, Metas(p.Slots)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Metas(nil); len(got) != 0 {
		t.Errorf("no slots: got %v", got)
	}
}
