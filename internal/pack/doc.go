// Package pack reads and writes MessagePack
// (https://github.com/msgpack/msgpack/blob/master/spec.md) token by token, in one canonical form.
//
// A [Reader] reads a byte slice of unknown origin. It allocates only the strings that it returns,
// and compares every length with the number of remaining bytes. It refuses everything that is not
// canonical: integers and lengths that have a shorter form, strings that are not UTF-8, and
// extension types. It does not recurse, so nesting cannot exhaust the stack: the caller asks for
// the next token, and any other token is an error with its offset.
//
// A [Writer] writes only what a Reader accepts, so reading bytes and writing the values gives the
// same bytes.
//
//	w := pack.NewWriter()
//	w.Map(1)
//	w.String("step")
//	w.Int(7)
//
//	r := pack.NewReader(w.Bytes())
//	r.Fields("step")
//	step := r.Int()
//	err := r.End() // the first error of all calls, or an error about remaining bytes
package pack
