package checkpoint

import (
	"cmp"
	"maps"
	"slices"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/graph"
)

// A header is the table of contents of a file. Blobs are in the file in the order of
// header.blobs.
type header struct {
	info     Info // without the tensors of its steps
	steps    []tensorSet
	code     []blob // of programs
	programs []program
	tensors  []tensor
	parts    []part
	levels   []level
	state    *state
}

// A program is the name of a program and the number of its code in header.code.
type program struct {
	name string
	code int
}

// A part is bytes of the file that hold elements of a tensor, or a mask for it.
type part struct {
	tensor
	number        int // of the tensor in header.tensors; unused in a tensorSet
	encoding      encoding
	index, values blob
}

func (p part) len() int64 { return p.index.len() + p.values.len() }

type level struct {
	name         string
	notes        map[string]string
	programs     []program
	quantization blob // of its tensors; see quantization.go
	activations  blob
	entries      []entry
}

// An entry is a tensor at a level: the parts to put together, and the encoding of the result.
type entry struct {
	tensor   int // in header.tensors, ascending
	encoding encoding
	stored   int64 // elements of the result that are stored
	parts    []int // in header.parts, ascending
}

// A tensorSet is tensors with different names, each of one part.
type tensorSet struct {
	parts        []part // sorted by name
	quantization blob
}

type state struct {
	ints map[string]int64
	tensorSet
}

// blobs visits all blobs in file order.
func (h *header) blobs(visit func(*blob)) {
	for i := range h.steps {
		h.steps[i].blobs(visit)
	}
	for i := range h.code {
		visit(&h.code[i])
	}
	for i := range h.parts {
		h.parts[i].blobs(visit)
	}
	for i := range h.levels {
		visit(&h.levels[i].quantization)
		visit(&h.levels[i].activations)
	}
	if h.state != nil {
		h.state.blobs(visit)
	}
}

func (s *tensorSet) blobs(visit func(*blob)) {
	for i := range s.parts {
		s.parts[i].blobs(visit)
	}
	visit(&s.quantization)
}

func (p *part) blobs(visit func(*blob)) {
	visit(&p.index)
	visit(&p.values)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// encode returns the bytes of a header of version 2.
func (h *header) encode() []byte {
	w := pack.NewWriter()
	w.Map(10)
	w.String("meta")
	encodeMeta(w, h.info)
	w.String("inputs")
	encodePorts(w, h.info.Inputs)
	w.String("outputs")
	encodePorts(w, h.info.Outputs)
	w.String("steps")
	w.Array(len(h.info.Steps))
	for i, s := range h.info.Steps {
		w.Array(5)
		w.String(s.Kind)
		w.String(s.Port)
		encodeTexts(w, s.Settings)
		encodeSet(w, h.steps[i])
	}
	w.String("code")
	w.Array(len(h.code))
	for _, c := range h.code {
		encodeBlob(w, c)
	}
	w.String("programs")
	encodePrograms(w, h.programs)
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
		encodeLevel(w, l)
	}
	w.String("state")
	encodeState(w, h.state)
	return w.Bytes()
}

func encodeMeta(w *pack.Writer, m Info) {
	w.Map(6)
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
	w.String("extra")
	encodeTexts(w, m.Extra)
}

func encodePorts(w *pack.Writer, ports []Port) {
	w.Array(len(ports))
	for _, p := range ports {
		w.Array(6)
		w.String(p.Name)
		w.String(p.DType.String())
		encodeShape(w, p.Shape)
		encodeFloats(w, p.Mean)
		encodeFloats(w, p.Std)
		w.Array(len(p.Classes))
		for _, c := range p.Classes {
			w.String(c)
		}
	}
}

// encodeShape writes a constant dimension as an integer and any other as [c, symbols].
func encodeShape(w *pack.Writer, s graph.Shape) {
	w.Array(len(s))
	for _, d := range s {
		if !d.Fixed() {
			w.Array(2)
		}
		w.Int(int64(d.C))
		if !d.Fixed() {
			w.String(d.Sym)
		}
	}
}

func encodeTexts(w *pack.Writer, m map[string]string) {
	w.Map(len(m))
	for _, k := range sortedKeys(m) {
		w.String(k)
		w.String(m[k])
	}
}

func encodePrograms(w *pack.Writer, programs []program) {
	w.Map(len(programs))
	for _, p := range programs {
		w.String(p.name)
		w.Int(int64(p.code))
	}
}

func encodeInts(w *pack.Writer, xs []int) {
	w.Array(len(xs))
	for _, x := range xs {
		w.Int(int64(x))
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
	encodeInts(w, t.dims)
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
	w.Array(6)
	w.String(l.name)
	encodeTexts(w, l.notes)
	encodePrograms(w, l.programs)
	encodeBlob(w, l.quantization)
	encodeBlob(w, l.activations)
	w.Array(len(l.entries))
	for _, e := range l.entries {
		w.Array(4)
		w.Int(int64(e.tensor))
		w.String(e.encoding.String())
		w.Int(e.stored)
		encodeInts(w, e.parts)
	}
}

func encodeState(w *pack.Writer, s *state) {
	if s == nil {
		w.Nil()
		return
	}
	w.Map(3)
	w.String("ints")
	encodeStateInts(w, s.ints)
	w.String("tensors")
	encodeSetParts(w, s.parts)
	w.String("quantization")
	encodeBlob(w, s.quantization)
}

func encodeStateInts(w *pack.Writer, ints map[string]int64) {
	w.Map(len(ints))
	for _, k := range sortedKeys(ints) {
		w.String(k)
		w.Int(ints[k])
	}
}

// encodeSet writes two values.
func encodeSet(w *pack.Writer, s tensorSet) {
	encodeSetParts(w, s.parts)
	encodeBlob(w, s.quantization)
}

func encodeSetParts(w *pack.Writer, parts []part) {
	w.Array(len(parts))
	for _, p := range parts {
		w.Array(6)
		encodeTensor(w, p.tensor)
		w.String(p.encoding.String())
		encodeBlob(w, p.index)
		encodeBlob(w, p.values)
	}
}
