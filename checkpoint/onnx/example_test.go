package onnx_test

import (
	"fmt"
	"log"

	"github.com/compressaware/cram/checkpoint/onnx"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A batch norm that follows a convolution costs nothing once it is merged into the convolution's
// weights and bias.
func ExampleFold() {
	b := graph.NewBuilder()
	m := onnx.Model{Name: "small", Tensors: map[string]array.Value{}}
	slot := func(name string, dims []int, x ...float32) graph.Node {
		t, err := array.From(x, dims...)
		if err != nil {
			log.Fatal(err)
		}
		m.Tensors[name] = array.DenseValue(t)
		return b.Slot(graph.Slot{Name: name, Type: graph.Type{DType: array.F32, Shape: graph.Of(dims...)}})
	}
	one := []int{1}
	y := b.Conv2D(b.Input("x", array.F32, graph.Batch(1, 2, 2)), slot("conv.weight", []int{1, 1, 1, 1}, 3), graph.ConvAttr{})
	y = b.BatchNormInfer(y, slot("bn.gamma", one, 2), slot("bn.beta", one, 5), slot("bn.mean", one, 4), slot("bn.var", one, 16), 0)
	b.Output("y", y)
	var err error
	if m.Program, err = b.Program(); err != nil {
		log.Fatal(err)
	}
	folded, err := onnx.Fold(m)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("batch norms:", m.Program.Count(graph.OpBatchNormInfer), "and", folded.Program.Count(graph.OpBatchNormInfer))
	for _, name := range []string{"conv.weight", "bn.beta"} { // s = 2/√16
		t, err := folded.Tensors[name].Decode()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, t.F32())
	}
	// Output:
	// batch norms: 1 and 0
	// conv.weight [1.5]
	// bn.beta [3]
}
