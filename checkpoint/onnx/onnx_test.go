package onnx_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/compressaware/cram/checkpoint/onnx"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// network is conv (with a bias), batch norm, relu over images [N 1 2 2].
func network(t testing.TB) onnx.Model {
	b := graph.NewBuilder()
	m := onnx.Model{Name: "small", Tensors: map[string]array.Value{}}
	slot := func(name string, x []float32, dims ...int) graph.Node {
		v, err := array.From(x, dims...)
		if err != nil {
			t.Fatal(err)
		}
		if m.Tensors[name], err = v.Encode(array.Bitmask); err != nil {
			t.Fatal(err)
		}
		return b.Slot(graph.Slot{Name: name, Type: graph.Type{DType: array.F32, Shape: graph.Of(dims...)}})
	}
	x := b.Input("x", array.F32, graph.Batch(1, 2, 2))
	y := b.Conv2D(x, slot("w", []float32{3, 0}, 2, 1, 1, 1), graph.ConvAttr{})
	y = b.Add(y, b.Reshape(slot("b", []float32{1, 2}, 2), graph.Of(2, 1, 1)))
	y = b.BatchNormInfer(y, slot("gamma", []float32{2, 1}, 2), slot("beta", []float32{5, 6}, 2), slot("mean", []float32{4, 0}, 2), slot("var", []float32{4, 1}, 2), 0)
	b.Output("y", b.Relu(y))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	m.Program = p
	return m
}

// TestFold holds a folded network against the formula.
func TestFold(t *testing.T) {
	m := network(t)
	folded, err := onnx.Fold(m)
	if err != nil {
		t.Fatal(err)
	}
	if m.Program.Count(graph.OpBatchNormInfer) != 1 || folded.Program.Count(graph.OpBatchNormInfer) != 0 {
		t.Errorf("folded: %v", folded.Program)
	}
	// s is 2/√4 and 1/√1
	for name, want := range map[string][]float32{"w": {3, 0}, "beta": {(1-4)*1 + 5, 2 + 6}} {
		x, err := folded.Tensors[name].Decode()
		if err != nil || x.F32()[0] != want[0] || x.F32()[1] != want[1] {
			t.Errorf("%s is %v (%v), want %v", name, x.F32(), err, want)
		}
	}
	if x, err := m.Tensors["beta"].Decode(); err != nil || x.F32()[0] != 5 {
		t.Errorf("folding has changed the network: %v, %v", x.F32(), err)
	}
}

// TestWrite walks the messages of a model: lengths must add up, and the weights be dense.
func TestWrite(t *testing.T) {
	var b bytes.Buffer
	if err := onnx.Write(&b, network(t)); err != nil {
		t.Fatal(err)
	}
	graphs, initializers := fields(t, b.Bytes(), 7), 0
	if len(graphs) != 1 {
		t.Fatalf("%d graphs", len(graphs))
	}
	for _, tensor := range fields(t, graphs[0], 5) {
		if name := fields(t, tensor, 8); string(name[0]) == "w" {
			if raw := fields(t, tensor, 9); len(raw) != 1 || len(raw[0]) != 8 {
				t.Errorf("w has %v", raw)
			}
		}
		initializers++
	}
	// Conv, Add, BatchNormalization, Relu, Identity
	if nodes := fields(t, graphs[0], 1); initializers != 6 || len(nodes) != 5 {
		t.Errorf("%d initializers, %d nodes", initializers, len(nodes))
	}
}

// TestWriteQuantized holds that quantized weights are written as the real numbers.
func TestWriteQuantized(t *testing.T) {
	m := network(t)
	m.Tensors["w"] = array.Value{
		DType: array.I8, Dims: []int{2, 1, 1, 1}, Values: []byte{6, 0xff}, // 6, -1
		Quantization: &array.Quantization{Axis: 0, Scale: []float32{0.5, 2}, Zero: []int32{0, -1}},
	}
	var quantized, float bytes.Buffer
	if err := onnx.Write(&quantized, m); err != nil {
		t.Fatal(err)
	}
	if err := onnx.Write(&float, network(t)); err != nil { // 3, 0
		t.Fatal(err)
	}
	if !bytes.Equal(quantized.Bytes(), float.Bytes()) {
		t.Error("the model differs from that of the real numbers")
	}
}

// fields returns the contents of the fields of bytes with the given number.
func fields(t *testing.T, m []byte, field protowire.Number) (found [][]byte) {
	t.Helper()
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		size := protowire.ConsumeFieldValue(number, kind, m[max(n, 0):])
		if n < 0 || size < 0 {
			t.Fatalf("damaged at %d bytes from the end", len(m))
		}
		if number == field && kind == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(m[n:])
			found = append(found, content)
		}
		m = m[n+size:]
	}
	return found
}

func TestRefuses(t *testing.T) {
	lacking := network(t)
	delete(lacking.Tensors, "gamma")
	for want, m := range map[string]onnx.Model{
		`tensor "gamma"`: lacking,
		"only infers":    {},
	} {
		var b bytes.Buffer
		if err := onnx.Write(&b, m); err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("got %v, after %d bytes; want %q", err, b.Len(), want)
		}
	}
}

func ExampleWrite() {
	b := graph.NewBuilder()
	b.Output("y", b.Relu(b.Input("x", array.F32, graph.Batch(2))))
	p, err := b.Program()
	if err != nil {
		fmt.Println(err)
		return
	}
	var model bytes.Buffer
	err = onnx.Write(&model, onnx.Model{Name: "relu", Program: p})
	fmt.Println(bytes.Contains(model.Bytes(), []byte("Relu")), err)
	// Output: true <nil>
}
