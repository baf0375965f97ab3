// Package pack reads and writes MessagePack token by token, safely and in one form only.
//
// A [Reader] walks a byte slice that nobody vouches for. It allocates nothing but the strings it returns, compares every
// length with the bytes that are left before it believes it, and refuses whatever is not canonical: integers and lengths in
// their shortest form, floats as written by [Writer], strings in UTF-8, no extension types. It never recurses, so nesting
// cannot exhaust the stack: the caller asks for what must come next, and anything else is an error that says where.
//
// A [Writer] produces exactly what a Reader accepts, so bytes → value → bytes is the identity.
//
//	w := pack.NewWriter()
//	w.Map(1)
//	w.String("step")
//	w.Int(7)
//
//	r := pack.NewReader(w.Bytes())
//	r.Fields("step")
//	step := r.Int()
//	err := r.End() // the first error of all of the above, or bytes left over
package pack
