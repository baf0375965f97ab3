package checkpoint

import "github.com/compressaware/cram/internal/pack"

// encodeV1 returns the bytes of a header that was decoded from version 1.
func (h *header) encodeV1() []byte {
	w := pack.NewWriter()
	w.Map(6)
	w.String("meta")
	w.Map(7)
	w.String("model")
	w.String(h.info.Model)
	w.String("recipe")
	w.String(h.info.Recipe)
	w.String("data")
	w.String(h.info.Data)
	w.String("seed")
	w.Uint(h.info.Seed)
	w.String("versions")
	encodeTexts(w, h.info.Versions)
	w.String("input")
	w.Map(4)
	w.String("shape")
	encodeInts(w, h.info.Input().Example())
	w.String("mean")
	encodeFloats(w, h.info.Input().Mean)
	w.String("std")
	encodeFloats(w, h.info.Input().Std)
	w.String("classes")
	w.Array(len(h.info.Output().Classes))
	for _, c := range h.info.Output().Classes {
		w.String(c)
	}
	w.String("extra")
	encodeTexts(w, h.info.Extra)
	w.String("programs")
	w.Array(len(h.programs))
	for _, p := range h.programs {
		w.Array(2)
		w.String(p.name)
		encodeBlob(w, h.code[p.code])
	}
	w.String("tensors")
	w.Array(len(h.tensors))
	for _, t := range h.tensors {
		w.Array(3)
		encodeTensor(w, t)
	}
	w.String("parts")
	w.Array(len(h.parts))
	for _, p := range h.parts {
		w.Array(4)
		w.Int(int64(p.number))
		w.String(p.encoding.String())
		encodeBlob(w, p.index)
		encodeBlob(w, p.values)
	}
	w.String("levels")
	w.Array(len(h.levels))
	for _, l := range h.levels {
		w.Array(3)
		w.String(l.name)
		encodeTexts(w, l.notes)
		w.Array(len(l.entries))
		for _, e := range l.entries {
			w.Array(4)
			w.Int(int64(e.tensor))
			w.String(e.encoding.String())
			w.Int(e.stored)
			encodeInts(w, e.parts)
		}
	}
	w.String("state")
	if h.state == nil {
		w.Nil()
		return w.Bytes()
	}
	w.Map(2)
	w.String("ints")
	encodeStateInts(w, h.state.ints)
	w.String("tensors")
	encodeSetParts(w, h.state.parts)
	return w.Bytes()
}
