package checkpoint

import (
	"cmp"
	"maps"
	"slices"

	"github.com/compressaware/cram/internal/pack"
)

// A header is the table of contents. Lists of named things are sorted by name; blobs stand in the file in the order
// in which the header names them.
type header struct {
	meta     Info
	programs []program
	tensors  []tensor
	parts    []part
	levels   []level
	state    *state
}

type program struct {
	name string
	code blob
}

// A part is some of the elements of a tensor, or a mask over it.
type part struct {
	tensor        int // in header.tensors
	form          form
	index, values blob
}

type level struct {
	name    string
	notes   map[string]string
	entries []entry
}

// An entry says what a tensor is at a level: the parts to put together, and the form of the result.
type entry struct {
	tensor int // in header.tensors, ascending
	form   form
	stored int64 // elements of the result that are stored
	parts  []int // in header.parts, ascending
}

type state struct {
	ints    map[string]int64
	tensors []stateTensor
}

type stateTensor struct {
	tensor
	form          form
	index, values blob
}

// blobs visits all blobs in file order.
func (h *header) blobs(visit func(*blob)) {
	for i := range h.programs {
		visit(&h.programs[i].code)
	}
	for i := range h.parts {
		visit(&h.parts[i].index)
		visit(&h.parts[i].values)
	}
	if h.state != nil {
		for i := range h.state.tensors {
			visit(&h.state.tensors[i].index)
			visit(&h.state.tensors[i].values)
		}
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func (h *header) encode() []byte {
	w := pack.NewWriter()
	w.Map(6)
	w.String("meta")
	encodeMeta(w, h.meta)
	w.String("programs")
	w.Array(len(h.programs))
	for _, p := range h.programs {
		w.Array(2)
		w.String(p.name)
		encodeBlob(w, p.code)
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
		w.Int(int64(p.tensor))
		w.String(p.form.String())
		encodeBlob(w, p.index)
		encodeBlob(w, p.values)
	}
	w.String("levels")
	w.Array(len(h.levels))
	for _, l := range h.levels {
		encodeLevel(w, l)
	}
	w.String("state")
	encodeState(w, h.state)
	return w.Bytes()
}

func encodeMeta(w *pack.Writer, m Info) {
	w.Map(7)
	w.String("model")
	w.String(m.Model)
	w.String("recipe")
	w.String(m.Recipe)
	w.String("data")
	w.String(m.Data)
	w.String("seed")
	w.Uint(m.Seed)
	w.String("versions")
	encodeTexts(w, m.Versions)
	w.String("input")
	w.Map(4)
	w.String("shape")
	encodeDims(w, m.Input().Example())
	w.String("mean")
	encodeFloats(w, m.Input().Mean)
	w.String("std")
	encodeFloats(w, m.Input().Std)
	w.String("classes")
	w.Array(len(m.Output().Classes))
	for _, s := range m.Output().Classes {
		w.String(s)
	}
	w.String("extra")
	encodeTexts(w, m.Extra)
}

func encodeTexts(w *pack.Writer, m map[string]string) {
	w.Map(len(m))
	for _, k := range sortedKeys(m) {
		w.String(k)
		w.String(m[k])
	}
}

func encodeDims(w *pack.Writer, dims []int) {
	w.Array(len(dims))
	for _, d := range dims {
		w.Int(int64(d))
	}
}

func encodeFloats(w *pack.Writer, xs []float32) {
	w.Array(len(xs))
	for _, x := range xs {
		w.Float32(x)
	}
}

func encodeTensor(w *pack.Writer, t tensor) {
	w.String(t.name)
	w.String(t.dtype.String())
	encodeDims(w, t.dims)
}

func encodeBlob(w *pack.Writer, b blob) {
	w.Array(len(b))
	for _, c := range b {
		w.Array(3)
		w.Int(c.off)
		w.Int(c.n)
		w.Uint(uint64(c.crc))
	}
}

func encodeLevel(w *pack.Writer, l level) {
	w.Array(3)
	w.String(l.name)
	encodeTexts(w, l.notes)
	w.Array(len(l.entries))
	for _, e := range l.entries {
		w.Array(4)
		w.Int(int64(e.tensor))
		w.String(e.form.String())
		w.Int(e.stored)
		encodeDims(w, e.parts)
	}
}

func encodeState(w *pack.Writer, s *state) {
	if s == nil {
		w.Nil()
		return
	}
	w.Map(2)
	w.String("ints")
	w.Map(len(s.ints))
	for _, k := range sortedKeys(s.ints) {
		w.String(k)
		w.Int(s.ints[k])
	}
	w.String("tensors")
	w.Array(len(s.tensors))
	for _, t := range s.tensors {
		w.Array(6)
		encodeTensor(w, t.tensor)
		w.String(t.form.String())
		encodeBlob(w, t.index)
		encodeBlob(w, t.values)
	}
}
