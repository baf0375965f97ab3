package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/graph"
)

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
