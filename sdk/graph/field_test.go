package graph_test

import (
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func TestFieldBatch(t *testing.T) {
	shape := graph.Shape{graph.Sym("T"), {C: 8}}
	f := graph.Field{Name: "ids", Type: graph.Type{DType: array.I32, Shape: shape}}
	if got := f.Batch().String(); got != "i32[N T 8]" {
		t.Errorf("batch is %s", got)
	}
	if f.Type.String() != "i32[T 8]" || f.String() != "i32[T 8]" {
		t.Errorf("the field has become %v", f.Type)
	}
}
