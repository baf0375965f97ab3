package checkpoint

import (
	"slices"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
)

// maxElements limits one tensor.
const maxElements = 1 << 46

// decodeHeader decodes a header that may come from anywhere. The result is consistent: every number
// refers to something of the right kind, everything is referred to, offsets are those of the one
// possible layout, and lengths fit the tensors. end is the end of the data, counted from its start.
func decodeHeader(version byte, b []byte) (h *header, end int64, err error) {
	d := headerDecoder{r: pack.NewReader(b), h: &header{}}
	if version == 1 {
		d.decodeV1()
	} else {
		d.decode()
	}
	return d.h, d.layout.end, d.r.End()
}

type headerDecoder struct {
	r      *pack.Reader
	h      *header
	layout layout
	lines  int // taken so far
}

// array takes the start of a list and counts its lines: a few bytes of MessagePack can take a
// hundred bytes of memory.
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
	r.Fields("meta", "inputs", "outputs", "steps", "code", "programs", "tensors", "parts", "levels", "state")
	r.Fields("model", "recipe", "data", "seed", "versions", "extra")
	d.texted(&h.info)
	r.Key("extra")
	h.info.Extra = d.texts()
	r.Key("inputs")
	h.info.Inputs = d.ports("inputs")
	r.Key("outputs")
	h.info.Outputs = d.ports("outputs")
	r.Key("steps")
	d.steps()
	r.Key("code")
	n := d.array()
	h.code = make([]blob, 0, n)
	for range n {
		h.code = append(h.code, d.blob())
	}
	usedCode := make([]bool, n)
	r.Key("programs")
	h.programs = d.programs(usedCode)
	r.Key("tensors")
	d.tensors()
	r.Key("parts")
	d.parts()
	r.Key("levels")
	d.levels(func(l *level) {
		r.ArrayOf(6)
		*l = level{name: r.Name(), notes: d.texts(), programs: d.programs(usedCode), quantization: d.blob(), activations: d.blob()}
		for _, p := range l.programs {
			if !slices.ContainsFunc(h.programs, func(q program) bool { return p.name == q.name }) {
				r.Fail("level %q replaces program %q, which the file does not have", l.name, p.name)
			}
		}
	})
	if i := slices.Index(usedCode, false); i >= 0 {
		r.Fail("code %d belongs to no program", i)
	}
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

// texted takes what both versions have of "meta" before its other fields, the first key taken.
func (d *headerDecoder) texted(m *Info) {
	r := d.r
	m.Model = r.String(maxText)
	r.Key("recipe")
	m.Recipe = r.String(maxText)
	r.Key("data")
	m.Data = r.String(maxText)
	r.Key("seed")
	m.Seed = r.Uint()
	r.Key("versions")
	m.Versions = d.texts()
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

func (d *headerDecoder) ints() map[string]int64 {
	n := d.count(d.r.Map())
	m := make(map[string]int64, n)
	last := ""
	for range n {
		k := d.next(&last)
		m[k] = d.r.Int()
	}
	return m
}

func (d *headerDecoder) names() []string {
	n := d.array()
	names := slices.Grow([]string(nil), n)
	for range n {
		names = append(names, d.r.Name())
	}
	return names
}

// levels takes the levels; start takes what comes before the tensors of each.
func (d *headerDecoder) levels(start func(*level)) {
	r, h := d.r, d.h
	n := d.array()
	if n > maxLevels {
		r.Fail("%d levels, the limit is %d", n, maxLevels)
	}
	names, used := map[string]bool{}, make([]bool, len(h.parts))
	for range n {
		var l level
		start(&l)
		d.entries(&l, used)
		if r.Err() != nil {
			return
		}
		if names[l.name] {
			r.Fail("two levels have the name %q", l.name)
		}
		names[l.name] = true
		h.levels = append(h.levels, l)
	}
	d.checkUsed(used)
}

// entries takes the tensors of a level and marks the parts that they use.
func (d *headerDecoder) entries(l *level, used []bool) {
	r := d.r
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
			return
		}
		if last >= 0 && d.h.tensors[last].name == d.h.tensors[e.tensor].name {
			r.Fail("level %q has tensor %q twice", l.name, d.h.tensors[last].name)
		}
		last = e.tensor
		l.entries = append(l.entries, e)
		p.add(d.h.tensors[e.tensor])
		for _, k := range e.parts {
			p.stored += d.h.parts[k].len()
		}
	}
	if err := p.check(); err != nil {
		r.Fail("level %q: %v", l.name, err)
	}
}

func (d *headerDecoder) entry(used []bool) entry {
	r := d.r
	r.ArrayOf(4)
	e := entry{tensor: int(r.IntIn(0, int64(len(d.h.tensors))-1)), encoding: d.encoding()}
	if !e.encoding.whole() {
		r.Fail("%v is not an encoding of a whole tensor", e.encoding)
	}
	e.stored = r.IntIn(0, maxElements)
	if r.Err() != nil {
		return e
	}
	t := d.h.tensors[e.tensor]
	d.entryParts(&e, used)
	if r.Err() != nil {
		return e
	}
	want := e.stored
	switch {
	case e.encoding.kind == dense:
		want = int64(t.len())
	case len(e.parts) == 1 || d.h.parts[e.parts[len(e.parts)-1]].encoding.sparse():
		want = d.storedBy(e.parts)
	}
	if e.stored != want || e.stored > int64(t.len()) || t.dtype == array.Bit && e.encoding.kind != dense {
		r.Fail("tensor %v as %v cannot have %d elements", t, e.encoding, e.stored)
	}
	return e
}

// entryParts takes the numbers of the parts of e, and checks that they make a tensor.
func (d *headerDecoder) entryParts(e *entry, used []bool) {
	r, t := d.r, d.h.tensors[e.tensor]
	n := r.Array()
	if n > len(d.h.parts) || r.Err() == nil && n == 0 {
		r.Fail("tensor %v of %d parts, the file has %d", t, n, len(d.h.parts))
		return
	}
	e.parts = make([]int, 0, n)
	last := int64(-1)
	var top encoding
	for range n {
		i := r.IntIn(last+1, int64(len(d.h.parts))-1)
		if r.Err() != nil {
			return
		}
		p := d.h.parts[i]
		switch {
		case p.number != e.tensor:
			r.Fail("part %d belongs to tensor %v, not %v", i, p.tensor, t)
		case last < 0 && !p.encoding.whole():
			r.Fail("tensor %v: part %d is the first and %v, which makes no tensor", t, i, p.encoding)
		case last >= 0 && !p.encoding.follows(top):
			r.Fail("tensor %v: part %d is %v after %v, which makes no tensor", t, i, p.encoding, top)
		case p.encoding.kind == rest:
			if got, want := p.values.len(), t.bytes()-int64(t.size())*d.storedBy(e.parts); got != want {
				r.Fail("tensor %v: the rest has %d bytes, want %d", t, got, want)
			}
		}
		used[i], last, top = true, i, p.encoding
		e.parts = append(e.parts, int(i))
	}
	switch {
	case n == 1 && e.encoding != top:
		r.Fail("tensor %v: its one part is %v, the result %v", t, top, e.encoding)
	case n > 1 && top.sparse() && !e.encoding.sparse():
		r.Fail("tensor %v: sparse parts do not make %v", t, e.encoding)
	}
}

// storedBy returns how many elements parts of one tensor store.
func (d *headerDecoder) storedBy(parts []int) int64 {
	n := int64(0)
	for _, k := range parts {
		n += d.h.parts[k].values.len() / int64(d.h.parts[k].size())
	}
	return n
}

// checkUsed refuses parts and tensors that no level refers to: a file hides nothing.
func (d *headerDecoder) checkUsed(parts []bool) {
	if d.r.Err() != nil {
		return
	}
	tensors := make([]bool, len(d.h.tensors))
	for i, used := range parts {
		if !used {
			d.r.Fail("part %d is in no level", i)
		}
		tensors[d.h.parts[i].number] = true
	}
	if i := slices.Index(tensors, false); i >= 0 {
		d.r.Fail("tensor %v has no parts", d.h.tensors[i])
	}
}

func (d *headerDecoder) state() *state {
	r := d.r
	if r.IsNil() {
		return nil
	}
	r.Fields("ints", "tensors", "quantization")
	s := &state{ints: d.ints()}
	r.Key("tensors")
	s.parts = d.setParts("state")
	r.Key("quantization")
	s.quantization = d.blob()
	return s
}
