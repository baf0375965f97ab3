// Package onnx writes a network of a checkpoint as an ONNX model, opset 17, for ONNX Runtime and whatever else reads it.
//
// It walks the network's own program "infer": each operation is a row of a table that gives its ONNX nodes, and one without a row, which
// trains, prunes or draws, is an error that names it. What the program contains comes along, the normalisation of the input above all; the
// batch stays symbolic. Pruned weights are written dense with their zeros, 16-bit ones as float32. With Fold, batch norms disappear into
// the convolutions before them.
//
// ONNX leaves open what some operations make of NaN (relu, max, argmax), of a number that an integer cannot hold (cast), and of an index
// out of range (gather), which cram defines or refuses. Everything else is the same up to rounding: .ci/onnx runs each row in ONNX Runtime
// beside the reference backend.
//
// A model is a protocol buffer of a dozen message types, whose field numbers stand in this package; weights are streamed behind their
// headers. Weighed instead and not taken: code generated from onnx.proto, three thousand lines, which holds a copy of the whole model in
// memory; onnx-go, gonnx and onnx-gomlx, which read models to run them, and write none but what they have read; onnxruntime_go, which runs
// them through cgo. The encoder of single fields is protowire of google.golang.org/protobuf.
package onnx
