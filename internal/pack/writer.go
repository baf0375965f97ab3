package pack

import (
	"bytes"

	"github.com/vmihailenco/msgpack/v5"
)

// A Writer appends tokens to a buffer in memory, each in its shortest form. Array and Map write a
// length; the caller writes that many values after it, and the Writer does not count them. A Writer
// is for one goroutine.
type Writer struct {
	buf bytes.Buffer
	enc *msgpack.Encoder
}

// NewWriter returns an empty Writer.
func NewWriter() *Writer {
	w := &Writer{}
	w.enc = msgpack.NewEncoder(&w.buf)
	return w
}

// Bytes returns the written bytes. They are valid until the next write.
func (w *Writer) Bytes() []byte { return w.buf.Bytes() }

// Len returns the number of written bytes.
func (w *Writer) Len() int { return w.buf.Len() }

// The methods below ignore the errors of the encoder: they are those of its bytes.Buffer, which has
// none.

// Array writes the head of an array of n values.
func (w *Writer) Array(n int) { _ = w.enc.EncodeArrayLen(n) }

// Map writes the head of a map of n pairs.
func (w *Writer) Map(n int) { _ = w.enc.EncodeMapLen(n) }

// String writes a string.
func (w *Writer) String(s string) { _ = w.enc.EncodeString(s) }

// Int writes an integer.
func (w *Writer) Int(x int64) { _ = w.enc.EncodeInt(x) }

// Uint writes an unsigned integer.
func (w *Writer) Uint(x uint64) { _ = w.enc.EncodeUint(x) }

// Float64 writes a 64-bit float.
func (w *Writer) Float64(x float64) { _ = w.enc.EncodeFloat64(x) }

// Float32 writes a 32-bit float.
func (w *Writer) Float32(x float32) { _ = w.enc.EncodeFloat32(x) }

// Bool writes true or false.
func (w *Writer) Bool(x bool) { _ = w.enc.EncodeBool(x) }

// Nil writes nil.
func (w *Writer) Nil() { _ = w.enc.EncodeNil() }

// BinHeader writes the head of a binary of n bytes, at most 2³²-1. The caller writes these bytes
// elsewhere, after Bytes.
func (w *Writer) BinHeader(n int) { _ = w.enc.EncodeBytesLen(n) }

// Bin writes a binary.
func (w *Writer) Bin(b []byte) {
	w.BinHeader(len(b))
	w.buf.Write(b)
}
