// Package checkpoint reads and writes cram's files. A file contains the weights of a network at one
// or more sparsity levels, the programs that use them, a description of inputs and outputs, and,
// during a training, the state that resumes it.
//
// Most code uses package sdk, whose Network.Save, Open and LoadSparse write and read such files.
// This package gives access to their parts: a [File] is the content in memory, [Save] writes it,
// and [Open] or [NewReader] return a [Reader], which reads only what its methods return.
//
//	err := checkpoint.Save("net.cram", &checkpoint.File{Programs: programs, Levels: levels})
//
//	r, err := checkpoint.Open("net.cram")
//	defer r.Close()
//	level, err := r.Level("topk:0.9")     // weights, still encoded
//	infer, err := r.Program("infer")
//
// Levels share elements. Where they nest, as magnitude levels do, each element is stored once: the
// elements of the sparsest level first, then those that each denser level adds. A reader of a
// sparse level reads a prefix of the data. Levels that do not nest, such as N:M levels, are masks
// for the dense elements.
//
// FORMAT.md in this directory specifies the format. Files have no clock times, and equal content
// gives equal bytes. A Reader checks every length before it allocates memory, and the checksum of
// every byte that it reads; its memory is limited by the size of the file. An error of damage is a
// [*FormatError] with the byte offset. Checksums do not protect from forgery: sign files that come
// from others.
//
// Files are little-endian, and reading and writing need a little-endian machine.
package checkpoint
