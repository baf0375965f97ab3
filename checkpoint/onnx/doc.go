// Package onnx writes a network of a checkpoint as an ONNX model, opset 17, for ONNX Runtime and whatever else reads it.
//
// It walks the network's own program "infer": each operation is a row of a table that gives its ONNX nodes, and one without a row is an
// error that names it. What the program contains comes along, the normalisation of the input above all; the batch stays symbolic.
// Pruned weights are written dense with their zeros, 16-bit ones as float32. With Fold, batch norms disappear into the
// convolutions before them.
//
// A model is a protocol buffer of a dozen message types, whose field numbers stand in this package; weights are streamed behind their
// headers. Weighed instead and not taken: code generated from onnx.proto (two thousand lines, and a copy of the whole model in memory),
// and the Go libraries for ONNX that exist, which read models to run them, or are no longer kept. The encoder of single fields is protowire of
// google.golang.org/protobuf.
package onnx
