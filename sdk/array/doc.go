// Package array holds the numbers that every other package passes around: element types, tensors in
// host memory, and values in the encodings that files and backends store.
//
// A [Tensor] is plain: elements of one [DType], row-major. A [Value] is a tensor in an [Encoding]:
// dense, or without its zeros as a bitmask, as column indices or as N of each M. [Tensor.Encode],
// [Tensor.EncodeNM] and [Tensor.Smallest] make Values, [Value.Decode] writes one out again, and
// [Value.Cast] changes its element type between 32 and 16 bits. A Value of 8-bit integers may have
// a [Quantization], which maps them to real numbers.
package array
