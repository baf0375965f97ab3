package checkpoint

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
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

func (d *headerDecoder) floats() []float32 {
	n := d.array()
	xs := slices.Grow([]float32(nil), n)
	for range n {
		x := d.r.Float32()
		if x-x != 0 { // NaN or infinite
			d.r.Fail("want a finite mean or std, got %v", x)
		}
		xs = append(xs, x)
	}
	return xs
}

func (d *headerDecoder) ports(list string) []Port {
	r := d.r
	n := d.array()
	ports := slices.Grow([]Port(nil), n)
	seen := make(map[string]bool, n)
	for range n {
		r.ArrayOf(6)
		p := Port{Name: r.Name(), DType: d.dtype(), Shape: d.shape(), Mean: d.floats(), Std: d.floats(), Classes: d.names()}
		if r.Err() != nil {
			return nil
		}
		switch classes, last := len(p.Classes), p.Shape[len(p.Shape)-1]; {
		case seen[p.Name]:
			r.Fail("two %s have the name %q", list, p.Name)
		case len(p.Std) != len(p.Mean):
			r.Fail("%s: %q: mean has %d channels, std has %d", list, p.Name, len(p.Mean), len(p.Std))
		case classes > 0 && (len(p.Shape) < 2 || last.Fixed() && classes != last.C):
			r.Fail("%s: %q has shape %v and %d classes: want one for each index of the last axis", list, p.Name, p.Shape, classes)
		}
		seen[p.Name] = true
		ports = append(ports, p)
	}
	return ports
}

// shape takes the shape of a port: the axis N, then others.
func (d *headerDecoder) shape() graph.Shape {
	r := d.r
	n := r.Array()
	if n < 1 || n > maxRank {
		r.Fail("a port of rank %d, want 1 to %d", n, maxRank)
		return nil
	}
	s := make(graph.Shape, 0, n)
	count, symbols := int64(1), 0
	for range n {
		symbolic := r.IsArray()
		if symbolic {
			r.ArrayOf(2)
		}
		c := r.IntIn(1, maxElements)
		dim := graph.Dim{C: int(c)}
		if symbolic {
			dim.Sym = r.Name()
			if !validSymbols(dim.Sym) {
				r.Fail("symbols %q: want names of letters and digits, sorted and joined by *", dim.Sym)
			}
		}
		if symbols += len(dim.Sym); symbols > pack.MaxName {
			r.Fail("%d bytes of symbols, the limit is %d", symbols, pack.MaxName)
		}
		if r.Err() == nil && count > maxElements/c {
			r.Fail("more than %d elements", int64(maxElements))
		}
		if r.Err() != nil {
			return nil
		}
		count *= c
		s = append(s, dim)
	}
	if s[0] != graph.Sym("N") {
		r.Fail("shape %v of a port: want N as its first dimension", s)
	}
	return s
}

// validSymbols reports whether s is names sorted and joined by "*".
func validSymbols(s string) bool {
	names := strings.Split(s, "*")
	for _, name := range names {
		if name == "" || strings.ContainsFunc(name, func(c rune) bool { return c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
			return false
		}
	}
	return slices.IsSorted(names)
}

func (d *headerDecoder) steps() {
	r, h := d.r, d.h
	n := d.array()
	h.info.Steps, h.steps = slices.Grow(h.info.Steps, n), make([]tensorSet, 0, n)
	var p proportion
	for i := range n {
		r.ArrayOf(5)
		s := Step{Kind: r.Name(), Port: r.Name(), Settings: d.texts()}
		set := tensorSet{d.setParts(fmt.Sprintf("step %d (%s)", i, s.Kind)), d.blob()}
		if r.Err() != nil {
			return
		}
		named := func(p Port) bool { return p.Name == s.Port }
		if !slices.ContainsFunc(h.info.Inputs, named) && !slices.ContainsFunc(h.info.Outputs, named) {
			r.Fail("step %d (%s) is for port %q, which is neither an input nor an output", i, s.Kind, s.Port)
		}
		h.info.Steps, h.steps = append(h.info.Steps, s), append(h.steps, set)
		for _, q := range set.parts {
			p.add(q.tensor)
			p.stored += q.len()
		}
	}
	if err := p.check(); err != nil {
		r.Fail("steps: %v", err)
	}
}

// programs takes programs by name, and marks the code that they use.
func (d *headerDecoder) programs(used []bool) []program {
	n := d.count(d.r.Map())
	programs := slices.Grow([]program(nil), n)
	last := ""
	for range n {
		p := program{d.next(&last), int(d.r.IntIn(0, int64(len(used))-1))}
		if d.r.Err() != nil {
			return nil
		}
		used[p.code] = true
		programs = append(programs, p)
	}
	return programs
}

// dims takes dimensions whose product is in bounds.
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

func (d *headerDecoder) dtype() array.DType {
	t, err := array.ParseDType(d.r.String(pack.MaxName))
	if err != nil {
		d.r.Fail("%v", err)
	}
	return t
}

func (d *headerDecoder) tensor(name string) tensor {
	return tensor{name: name, dtype: d.dtype(), dims: d.dims()}
}

func (d *headerDecoder) tensors() {
	r := d.r
	n := d.array()
	tensors := make([]tensor, 0, n)
	for i := range n {
		r.ArrayOf(3)
		tensors = append(tensors, d.tensor(r.Name()))
		if i > 0 && tensors[i-1].compare(tensors[i]) >= 0 {
			r.Fail("tensor %v after %v: want them sorted and different", tensors[i], tensors[i-1])
		}
	}
	d.h.tensors = tensors
}

func (d *headerDecoder) encoding() encoding {
	e, err := parseEncoding(d.r.String(pack.MaxName))
	if err != nil {
		d.r.Fail("%v", err)
	}
	return e
}

// blob takes the chunks of one blob, which must have the offsets of the layout.
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
		if d.layout.end > math.MaxInt64/2 {
			r.Fail("the data is too long")
		}
		if r.Err() != nil {
			return nil
		}
		c := d.layout.next(n)
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

func (d *headerDecoder) parts() {
	r, h := d.r, d.h
	n := d.array()
	h.parts = make([]part, 0, n)
	for range n {
		r.ArrayOf(4)
		p := part{number: int(r.IntIn(0, int64(len(h.tensors))-1)), encoding: d.encoding(), index: d.blob(), values: d.blob()}
		if r.Err() != nil {
			return
		}
		p.tensor = h.tensors[p.number]
		if err := p.checkLengths(); err != nil {
			r.Fail("%v", err)
		}
		h.parts = append(h.parts, p)
	}
}

// setParts takes tensors of one part each, which belong to owner.
func (d *headerDecoder) setParts(owner string) []part {
	r := d.r
	n := d.array()
	parts := slices.Grow([]part(nil), n)
	last := ""
	var total proportion
	for range n {
		r.ArrayOf(6)
		p := part{tensor: d.tensor(d.next(&last)), encoding: d.encoding(), index: d.blob(), values: d.blob()}
		if r.Err() != nil {
			return nil
		}
		if err := p.checkLengths(); err != nil {
			r.Fail("%s: %v", owner, err)
		}
		if !p.encoding.whole() {
			r.Fail("%s: tensor %v: %v is not an encoding of a whole tensor", owner, p.tensor, p.encoding)
		}
		parts = append(parts, p)
		total.add(p.tensor)
		total.stored += p.len()
	}
	if err := total.check(); err != nil {
		r.Fail("%s: %v", owner, err)
	}
	return parts
}

// checkLengths returns an error unless index and values have lengths that are possible for the
// tensor. Lengths that depend on the content are checked with the content.
func (p part) checkLengths() error {
	n, size := int64(p.tensor.len()), int64(p.tensor.size())
	bits, all := int64(array.Bit.Bytes(int(n))), p.tensor.bytes()
	index, values, e := p.index.len(), p.values.len(), p.encoding
	ok := p.dtype != array.Bit && values%size == 0 && values <= all // of what is not dense
	switch e.kind {
	case dense:
		ok = index == 0 && values == all
	case bitmask:
		ok = ok && index == bits
	case index16:
		ok = ok && index == (n+runLength-1)/runLength*4+values/size*2
	case grouped:
		ok = ok && e.m > 0 && e.n > 0 && n%int64(e.m) == 0 && values == n/int64(e.m)*int64(e.n)*size
	case rest:
		ok = ok && index == 0
	case masked:
		ok = ok && index == bits && values == 0
	}
	if !ok {
		return fmt.Errorf("tensor %v: %d bytes of index and %d of values do not fit encoding %v", p.tensor, index, values, e)
	}
	return nil
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
