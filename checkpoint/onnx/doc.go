// Package onnx writes a network of a checkpoint as an ONNX model, opset 17, for ONNX Runtime and
// other readers of ONNX (https://onnx.ai/onnx/operators).
//
// It writes the program "infer" of the network. A table has the ONNX nodes of each operation; an
// operation that is not in the table, because it trains, prunes or draws, is an error that names
// it. The model has all that the program has, such as the normalisation of the input, and the size
// of the batch is symbolic. Pruned weights are dense, with their zeros; weights in 16 bits and
// quantized ones are float32. [Fold] merges batch norms into the convolutions before them.
//
// ONNX does not define what some operations return for NaN (relu, max, argmax), for a number out of
// the range of an integer (cast), and for an index out of range (gather). cram defines these or
// returns an error. All other results are equal up to rounding: .ci/onnx runs each row of the table
// in ONNX Runtime and in the reference backend.
//
// A model is a protocol buffer of a dozen message types. Their field numbers are in this package,
// and protowire of google.golang.org/protobuf encodes single fields, so weights are streamed after
// their headers. Code generated from onnx.proto is three thousand lines and holds the whole model
// in memory. onnx-go, gonnx and onnx-gomlx read models and run them; onnxruntime_go needs cgo.
package onnx
