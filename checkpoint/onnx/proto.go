package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A message is a protocol buffer, to which its methods append. The field numbers below are those of
// ONNX's IR version 8 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
type message []byte

func (m *message) int(field protowire.Number, v int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendFixed32(protowire.AppendTag(*m, field, protowire.Fixed32Type), math.Float32bits(v))
}

func (m *message) bytes(field protowire.Number, b []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), b)
}

func (m *message) string(field protowire.Number, s string) { m.bytes(field, []byte(s)) }

// begin appends the header of a field of n bytes, which the caller writes after m.
func (m *message) begin(field protowire.Number, n int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.BytesType), uint64(n))
}

// Fields of ModelProto, GraphProto and OperatorSetIdProto.
const (
	modelIRVersion, modelProducer, modelVersion, modelGraph, modelOpset, modelMetadata = 1, 2, 3, 7, 8, 14
	graphNode, graphName, graphInitializer, graphInput, graphOutput                    = 1, 2, 5, 11, 12
	opsetVersion                                                                       = 2
)

// dataTypes are the numbers of TensorProto.DataType.
var dataTypes = map[array.DType]int64{
	array.F32: 1, array.I8: 3, array.I32: 6, array.I64: 7, array.Bit: 9, array.F16: 10, array.F64: 11, array.BF16: 16,
}

// attribute encodes an AttributeProto: an int64, a float32, or []int64.
func attribute(name string, value any) message {
	const nameField, floatField, intField, intsField, typeField = 1, 2, 3, 8, 20
	const typeFloat, typeInt, typeInts = 1, 2, 7
	var m message
	m.string(nameField, name)
	switch v := value.(type) {
	case int64:
		m.int(intField, v)
		m.int(typeField, typeInt)
	case float32:
		m.float(floatField, v)
		m.int(typeField, typeFloat)
	case []int64:
		for _, x := range v {
			m.int(intsField, x)
		}
		m.int(typeField, typeInts)
	}
	return m
}

// encode encodes a NodeProto.
func (n node) encode() message {
	const input, output, name, opType, attributes = 1, 2, 3, 4, 5
	var m message
	for _, s := range n.in {
		m.string(input, s)
	}
	for _, s := range n.out {
		m.string(output, s)
	}
	m.string(name, n.out[0])
	m.string(opType, n.op)
	for _, a := range n.attrs {
		m.bytes(attributes, attribute(a.name, a.value))
	}
	return m
}

// port encodes the ValueInfoProto of an input or output. Symbolic dimensions have their names.
func port(name string, t graph.Type) message {
	const infoName, infoType, tensorType, elemType, tensorShape, shapeDim, dimValue, dimParam = 1, 2, 1, 1, 2, 1, 1, 2
	var dims message
	for _, d := range t.Shape {
		var dim message
		if d.Fixed() {
			dim.int(dimValue, int64(d.C))
		} else {
			dim.string(dimParam, d.String())
		}
		dims.bytes(shapeDim, dim)
	}
	var tensor, kind, info message
	tensor.int(elemType, dataTypes[t.DType])
	tensor.bytes(tensorShape, dims)
	kind.bytes(tensorType, tensor)
	info.string(infoName, name)
	info.bytes(infoType, kind)
	return info
}

// tensorHeader encodes a TensorProto up to its raw data, n bytes that follow.
func tensorHeader(name string, d array.DType, dims []int, n int) message {
	const dimsField, typeField, nameField, rawField = 1, 2, 8, 9
	var m message
	for _, v := range dims {
		m.int(dimsField, int64(v))
	}
	m.int(typeField, dataTypes[d])
	m.string(nameField, name)
	m.begin(rawField, n)
	return m
}
