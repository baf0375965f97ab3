package onnx

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// opset is the version of ONNX's operators that a model uses, irVersion the version of the file
// format.
const (
	opset     = 17
	irVersion = 8
)

// A Model is a network to write.
type Model struct {
	// Name is the name of the graph. "" means "cram".
	Name string
	// Program is what the model computes. It has outputs and no updates.
	Program *graph.Program
	// Tensors has the value of each slot of Program. Values of slots of type F32 may be F16, BF16
	// or quantized.
	Tensors map[string]array.Value
	// Metadata becomes the metadata of the model. nil means none.
	Metadata map[string]string
}

// Write writes m. It holds one decoded weight in memory at a time. It returns an error if Program
// has an update or an operation that cannot be exported, or if a tensor is missing or does not fit.
func Write(w io.Writer, m Model) error {
	e, err := export(m)
	if err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	head := e.graphHead(m)
	size := len(head)
	tensors := make([]message, len(e.initializers))
	for i, t := range e.initializers {
		n := t.bytes()
		header := tensorHeader(t.name, t.dtype(), t.dims, n)
		tensors[i].begin(graphInitializer, len(header)+n)
		tensors[i] = append(tensors[i], header...)
		size += len(tensors[i]) + n
	}
	var model, version message
	model.int(modelIRVersion, irVersion)
	model.string(modelProducer, "cram")
	version.int(opsetVersion, opset)
	model.bytes(modelOpset, version)
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		const keyField, valueField = 1, 2
		var entry message
		entry.string(keyField, key)
		entry.string(valueField, m.Metadata[key])
		model.bytes(modelMetadata, entry)
	}
	model.begin(modelGraph, size)
	if _, err := w.Write(append(model, head...)); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	for i, t := range e.initializers {
		data, err := t.data()
		if err != nil {
			return fmt.Errorf("onnx: %s: %w", t.name, err)
		}
		if _, err := w.Write(tensors[i]); err != nil {
			return fmt.Errorf("onnx: %w", err)
		}
		if _, err := w.Write(data); err != nil {
			return fmt.Errorf("onnx: %w", err)
		}
	}
	return nil
}

// graphHead encodes the GraphProto up to its initializers.
func (e *exporter) graphHead(m Model) message {
	var g message
	for _, n := range e.nodes {
		g.bytes(graphNode, n.encode())
	}
	g.string(graphName, cmp.Or(m.Name, "cram"))
	for _, in := range m.Program.Inputs {
		g.bytes(graphInput, port(e.names[in.ID], m.Program.Types[in.ID]))
	}
	for _, out := range m.Program.Outputs {
		g.bytes(graphOutput, port(out.Name, m.Program.Types[out.ID]))
	}
	return g
}

// An initializer is a constant of the model: a weight, which is decoded when it is written, or a
// number of the program.
type initializer struct {
	name  string
	dims  []int
	value array.Value
}

// dtype is float32 for weights stored in 16 bits or as quantized integers.
func (t initializer) dtype() array.DType {
	if t.value.DType == array.F16 || t.value.DType == array.BF16 || t.value.Quantization != nil {
		return array.F32
	}
	return t.value.DType
}

// bytes is the length of data. A bit takes a byte.
func (t initializer) bytes() int {
	if t.dtype() == array.Bit {
		return t.value.Len()
	}
	return t.dtype().Bytes(t.value.Len())
}

func (t initializer) data() ([]byte, error) {
	v, err := t.value.Cast(t.dtype())
	if err != nil {
		return nil, err
	}
	x, err := v.Decode()
	if err != nil || x.DType != array.Bit {
		return x.Data, err
	}
	wide := make([]byte, x.Len())
	for k := range wide {
		if x.Bit(k) {
			wide[k] = 1
		}
	}
	return wide, nil
}
