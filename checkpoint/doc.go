// Package checkpoint is the file: trained weights at one level of sparsity or several, the programs that use them, what they
// were made from, and, while training, the state that resumes it.
//
// A [File] is the content in memory. [Save] writes it so that a crash leaves the old file or the new one, never half of either;
// [Open] gives a [Reader], which looks at nothing but what it is asked for; so do [OpenFS], [OpenMapped] and, for whatever can be read at any
// place, [NewReader].
//
//	err := checkpoint.Save("net.cram", &checkpoint.File{Programs: programs, Levels: levels})
//
//	r, err := checkpoint.Open("net.cram")
//	defer r.Close()
//	level, err := r.Level("topk:0.9")     // weights, still encoded
//	infer, err := r.Program("infer")
//
// A file with several levels is elastic: where levels nest, as magnitude levels do, the values of the sparsest are stored first
// and then only what each denser one adds, so every value is stored once and a sparse level is read from the front of the file.
// Levels that do not nest, as N:M ones, are masks over the dense values. What is equal in all levels is stored once.
//
// Files are MessagePack from the first byte to the last, with tensors aligned to 64 bytes; FORMAT.md says it all. They hold no
// clock times and no map order: equal content gives equal bytes. Readers trust nothing: every length is checked before
// memory is taken, every byte read is covered by a checksum, and what is not canonical is an error that says where.
// The checksums find damage, not forgery: sign a file that comes from people you do not trust.
//
// Files are little-endian, and so must the machine be.
package checkpoint
