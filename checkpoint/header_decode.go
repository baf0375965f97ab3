package checkpoint

import (
	"fmt"
	"math"
	"slices"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// maxElements bounds one tensor.
const maxElements = 1 << 46

// decodeHeader takes a header from anywhere. What it returns is consistent in itself: every reference points at something of
// the right kind, everything is referred to, offsets are those of the one layout there is, and lengths fit the tensors.
// end is where the data ends, counted from its start.
func decodeHeader(b []byte) (h *header, end int64, err error) {
	d := headerDecoder{r: pack.NewReader(b), h: &header{}}
	d.decode()
	return d.h, d.place.end, d.r.End()
}

type headerDecoder struct {
	r     *pack.Reader
	h     *header
	place layout
	lines int // taken so far
}

// array takes the beginning of a list of what is kept in memory, and counts its lines: a few bytes of MessagePack are a hundred of a line.
func (d *headerDecoder) array() int { return d.count(d.r.Array()) }

func (d *headerDecoder) count(n int) int {
	if d.lines += n; d.lines > maxLines {
		d.r.Fail("more than %d lines", maxLines)
		return 0
	}
	return n
}

func (d *headerDecoder) decode() {
	r, h := d.r, d.h
	r.Fields("meta", "programs", "tensors", "parts", "levels", "state")
	h.meta = d.meta()
	r.Key("programs")
	last := ""
	n := d.array()
	h.programs = make([]program, 0, n)
	for range n {
		r.ArrayOf(2)
		p := program{name: d.next(&last), code: d.blob()}
		h.programs = append(h.programs, p)
	}
	r.Key("tensors")
	n = d.array()
	h.tensors = make([]tensor, 0, n)
	for i := range n {
		r.ArrayOf(3)
		h.tensors = append(h.tensors, d.tensor(r.Name()))
		if i > 0 && h.tensors[i-1].compare(h.tensors[i]) >= 0 {
			r.Fail("tensor %v after %v: want them sorted and different", h.tensors[i], h.tensors[i-1])
		}
	}
	r.Key("parts")
	n = d.array()
	h.parts = make([]part, 0, n)
	for range n {
		h.parts = append(h.parts, d.part())
	}
	r.Key("levels")
	n = d.array()
	if n > maxLevels {
		r.Fail("%d levels, the limit is %d", n, maxLevels)
	}
	names, used := map[string]bool{}, make([]bool, len(h.parts))
	for range n {
		if r.Err() != nil {
			return
		}
		l := d.level(used)
		if names[l.name] {
			r.Fail("two levels are named %q", l.name)
		}
		names[l.name] = true
		h.levels = append(h.levels, l)
	}
	d.allUsed(used)
	r.Key("state")
	h.state = d.state()
}

// next takes a name that must sort after the last one.
func (d *headerDecoder) next(last *string) string {
	name := d.r.Name()
	if name <= *last {
		d.r.Fail("name %q after %q: want them sorted and different", name, *last)
	}
	*last = name
	return name
}

func (d *headerDecoder) meta() Info {
	r := d.r
	r.Fields("model", "recipe", "data", "seed", "versions", "input", "extra")
	m := Info{Model: r.String(maxText)}
	r.Key("recipe")
	m.Recipe = r.String(maxText)
	r.Key("data")
	m.Data = r.String(maxText)
	r.Key("seed")
	m.Seed = r.Uint()
	r.Key("versions")
	m.Versions = d.texts()
	r.Key("input")
	r.Fields("shape", "mean", "std", "classes")
	shape := d.dims()
	r.Key("mean")
	mean := d.floats()
	r.Key("std")
	std := d.floats()
	if len(std) != len(mean) {
		r.Fail("mean has %d channels, std %d", len(mean), len(std))
	}
	r.Key("classes")
	n := d.array()
	classes := make([]string, 0, n)
	for range n {
		classes = append(classes, r.Name())
	}
	if len(shape)+len(mean) > 0 {
		m.Inputs = []Port{{Name: "x", DType: array.F32, Shape: graph.Batch(shape...), Mean: mean, Std: std}}
	}
	if n > 0 {
		m.Outputs = []Port{{Name: "logits", DType: array.F32, Shape: graph.Batch(n), Classes: classes}}
	}
	r.Key("extra")
	m.Extra = d.texts()
	return m
}

func (d *headerDecoder) texts() map[string]string {
	n := d.count(d.r.Map())
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	last := ""
	for range n {
		k := d.next(&last)
		m[k] = d.r.String(maxText)
	}
	return m
}

func (d *headerDecoder) floats() []float32 {
	n := d.array()
	xs := slices.Grow([]float32(nil), n)
	for range n {
		x := d.r.Float32()
		if x-x != 0 { // NaN or infinite
			d.r.Fail("%v is not a number to normalise by", x)
		}
		xs = append(xs, x)
	}
	return xs
}

// dims takes extents whose product is in bounds.
func (d *headerDecoder) dims() []int {
	n := d.r.Array()
	if n > maxRank {
		d.r.Fail("rank %d, the limit is %d", n, maxRank)
		return nil
	}
	dims := slices.Grow([]int(nil), n)
	count := int64(1)
	for range n {
		x := d.r.IntIn(1, maxElements)
		if count > maxElements/x {
			d.r.Fail("more than %d elements", int64(maxElements))
			return nil
		}
		count *= x
		dims = append(dims, int(x))
	}
	return dims
}

func (d *headerDecoder) tensor(name string) tensor {
	t := tensor{name: name}
	s := d.r.String(pack.MaxName)
	dtype, err := array.ParseDType(s)
	if err != nil {
		d.r.Fail("%v", err)
	}
	t.dtype = dtype
	t.dims = d.dims()
	return t
}

func (d *headerDecoder) form() form {
	f, err := parseForm(d.r.String(pack.MaxName))
	if err != nil {
		d.r.Fail("%v", err)
	}
	return f
}

// blob takes the chunks of one blob, which must be where the layout puts them.
func (d *headerDecoder) blob() blob {
	r := d.r
	n := d.array()
	b := slices.Grow(blob(nil), n)
	for range n {
		if len(b) > 0 && b[len(b)-1].n != chunkBytes {
			r.Fail("a chunk of %d bytes, only the last may have less than %d", b[len(b)-1].n, chunkBytes)
		}
		r.ArrayOf(3)
		off, n := r.Int(), r.IntIn(1, chunkBytes)
		if d.place.end > math.MaxInt64/2 {
			r.Fail("the data is too long")
		}
		if r.Err() != nil {
			return nil
		}
		c := d.place.place(n)
		if off != c.off {
			r.Fail("a chunk at offset %d, want %d", off, c.off)
		}
		crc := r.Uint()
		if crc > math.MaxUint32 {
			r.Fail("checksum %d does not fit 32 bits", crc)
		}
		c.crc = uint32(crc)
		b = append(b, c)
	}
	return b
}

func (d *headerDecoder) part() part {
	r := d.r
	r.ArrayOf(4)
	p := part{tensor: int(r.IntIn(0, int64(len(d.h.tensors))-1)), form: d.form(), index: d.blob(), values: d.blob()}
	if r.Err() == nil {
		if err := checkLengths(d.h.tensors[p.tensor], p.form, p.index.len(), p.values.len()); err != nil {
			r.Fail("%v", err)
		}
	}
	return p
}

// checkLengths returns an error unless index and values of these lengths can stand for some of t. Exact are the lengths that
// follow from the extents; those that depend on the content are checked with it.
func checkLengths(t tensor, f form, index, values int64) error {
	n := array.Count(t.dims)
	size := int64(t.dtype.Bytes(1))
	mask, all := int64(array.Bit.Bytes(n)), int64(t.dtype.Bytes(n))
	ok := t.dtype != array.Bit && values%size == 0 && values <= all // of what is not dense
	switch f.kind {
	case dense:
		ok = index == 0 && values == all
	case bitmask:
		ok = ok && index == mask
	case index16:
		ok = ok && index == (int64(n)+1<<16-1)/(1<<16)*4+values/size*2
	case grouped:
		ok = ok && f.m > 0 && f.n > 0 && n%f.m == 0 && values == int64(n/f.m)*int64(f.n)*size
	case rest:
		ok = ok && index == 0
	case masked:
		ok = ok && index == mask && values == 0
	}
	if !ok {
		return fmt.Errorf("tensor %v: %d bytes of index and %d of values do not fit encoding %v", t, index, values, f)
	}
	return nil
}

// level takes a level and marks the parts that it uses.
func (d *headerDecoder) level(used []bool) level {
	r := d.r
	r.ArrayOf(3)
	l := level{name: r.Name(), notes: d.texts()}
	n := d.array()
	l.entries = make([]entry, 0, n)
	last := -1
	var p proportion
	for range n {
		e := d.entry(used)
		if e.tensor <= last {
			r.Fail("tensors of level %q are not ascending", l.name)
		}
		if r.Err() != nil {
			return l
		}
		if last >= 0 && d.h.tensors[last].name == d.h.tensors[e.tensor].name {
			r.Fail("level %q has tensor %q twice", l.name, d.h.tensors[last].name)
		}
		last = e.tensor
		l.entries = append(l.entries, e)
		p.add(d.h.tensors[e.tensor])
		for _, k := range e.parts {
			p.stored += d.h.parts[k].index.len() + d.h.parts[k].values.len()
		}
	}
	if err := p.check(); err != nil {
		r.Fail("level %q: %v", l.name, err)
	}
	return l
}

func (d *headerDecoder) entry(used []bool) entry {
	r := d.r
	r.ArrayOf(4)
	e := entry{tensor: int(r.IntIn(0, int64(len(d.h.tensors))-1)), form: d.form()}
	if e.form.kind == rest || e.form.kind == masked {
		r.Fail("%v is not an encoding of a whole tensor", e.form)
	}
	e.stored = r.IntIn(0, maxElements)
	t := d.h.tensors[e.tensor]
	d.parts(&e, used)
	if r.Err() != nil {
		return e
	}
	want := e.stored
	switch {
	case e.form.kind == dense:
		want = int64(array.Count(t.dims))
	case len(e.parts) == 1 || d.h.parts[e.parts[len(e.parts)-1]].form.sparse():
		want = d.storedBy(e.parts)
	}
	if e.stored != want || e.stored > int64(array.Count(t.dims)) || t.dtype == array.Bit && e.form.kind != dense {
		r.Fail("tensor %v as %v cannot have %d elements", t, e.form, e.stored)
	}
	return e
}

// parts takes the numbers of the parts of e, and checks that they make a tensor.
func (d *headerDecoder) parts(e *entry, used []bool) {
	r, t := d.r, d.h.tensors[e.tensor]
	n := r.Array()
	if n > len(d.h.parts) || r.Err() == nil && n == 0 {
		r.Fail("tensor %v of %d parts, the file has %d", t, n, len(d.h.parts))
		return
	}
	e.parts = make([]int, 0, n)
	last := int64(-1)
	var top form
	for range n {
		i := r.IntIn(last+1, int64(len(d.h.parts))-1)
		if r.Err() != nil {
			return
		}
		p := d.h.parts[i]
		switch {
		case p.tensor != e.tensor:
			r.Fail("part %d belongs to tensor %v, not %v", i, d.h.tensors[p.tensor], t)
		case last < 0 && (p.form.kind == rest || p.form.kind == masked):
			r.Fail("tensor %v: part %d is the first and %v, which makes no tensor", t, i, p.form)
		case last >= 0 && !p.form.follows(top):
			r.Fail("tensor %v: part %d is %v after %v, which makes no tensor", t, i, p.form, top)
		case p.form.kind == rest:
			if got, want := p.values.len(), int64(t.dtype.Bytes(array.Count(t.dims)))-int64(t.dtype.Bytes(1))*d.storedBy(e.parts); got != want {
				r.Fail("tensor %v: the rest has %d bytes, want %d", t, got, want)
			}
		}
		used[i], last, top = true, i, p.form
		e.parts = append(e.parts, int(i))
	}
	switch {
	case n == 1 && e.form != top:
		r.Fail("tensor %v: its one part is %v, the result %v", t, top, e.form)
	case n > 1 && top.sparse() && !e.form.sparse():
		r.Fail("tensor %v: sparse parts do not make %v", t, e.form)
	}
}

// storedBy returns how many elements parts of one tensor store.
func (d *headerDecoder) storedBy(parts []int) int64 {
	n := int64(0)
	for _, k := range parts {
		p := d.h.parts[k]
		n += p.values.len() / int64(d.h.tensors[p.tensor].dtype.Bytes(1))
	}
	return n
}

// allUsed refuses what no level refers to: a file hides nothing.
func (d *headerDecoder) allUsed(parts []bool) {
	if d.r.Err() != nil {
		return
	}
	tensors := make([]bool, len(d.h.tensors))
	for i, ok := range parts {
		if !ok {
			d.r.Fail("part %d is in no level", i)
		}
		tensors[d.h.parts[i].tensor] = true
	}
	for i, ok := range tensors {
		if !ok {
			d.r.Fail("tensor %v has no parts", d.h.tensors[i])
		}
	}
}

func (d *headerDecoder) state() *state {
	r := d.r
	if r.IsNil() {
		return nil
	}
	r.Fields("ints", "tensors")
	n := d.count(r.Map())
	s := &state{ints: make(map[string]int64, n)}
	last := ""
	for range n {
		k := d.next(&last)
		s.ints[k] = r.Int()
	}
	r.Key("tensors")
	last = ""
	n = d.array()
	s.tensors = make([]stateTensor, 0, n)
	var p proportion
	for range n {
		r.ArrayOf(6)
		t := stateTensor{tensor: d.tensor(d.next(&last)), form: d.form(), index: d.blob(), values: d.blob()}
		if r.Err() != nil {
			return s
		}
		if err := checkLengths(t.tensor, t.form, t.index.len(), t.values.len()); err != nil || t.form.kind == rest || t.form.kind == masked {
			r.Fail("state tensor %v as %v: %v", t.tensor, t.form, err)
		}
		s.tensors = append(s.tensors, t)
		p.add(t.tensor)
		p.stored += t.index.len() + t.values.len()
	}
	if err := p.check(); err != nil {
		r.Fail("state: %v", err)
	}
	return s
}
