package graph

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Dim is one extent of a shape: a constant C, or C times a product of named symbols.
// Symbols stand for what is known only when a program runs: the batch "N", a length "T".
// Sym is empty for a constant, a name, or names sorted and joined by "*".
type Dim struct {
	C   int
	Sym string
}

// A Shape is the extents of a tensor, outermost first. A nil Shape is a scalar.
type Shape []Dim

// Of returns a constant shape.
func Of(dims ...int) Shape {
	s := make(Shape, len(dims))
	for i, d := range dims {
		s[i] = Dim{C: d}
	}
	return s
}

// Batch returns the shape (N, dims...), N being the symbol of the batch.
func Batch(dims ...int) Shape { return append(Shape{Sym("N")}, Of(dims...)...) }

// Sym returns the extent named s.
func Sym(s string) Dim { return Dim{C: 1, Sym: s} }

// Fixed reports whether d is a constant.
func (d Dim) Fixed() bool { return d.Sym == "" }

// Mul returns d·e.
func (d Dim) Mul(e Dim) Dim {
	syms := append(d.symbols(), e.symbols()...)
	slices.Sort(syms)
	return Dim{C: d.C * e.C, Sym: strings.Join(syms, "*")}
}

// div returns d/e when it is exact.
func (d Dim) div(e Dim) (Dim, bool) {
	if e.C == 0 || d.C%e.C != 0 {
		return Dim{}, false
	}
	left := d.symbols()
	for _, s := range e.symbols() {
		i := slices.Index(left, s)
		if i < 0 {
			return Dim{}, false
		}
		left = slices.Delete(left, i, i+1)
	}
	return Dim{C: d.C / e.C, Sym: strings.Join(left, "*")}, true
}

func (d Dim) symbols() []string {
	if d.Sym == "" {
		return nil
	}
	return strings.Split(d.Sym, "*")
}

func (d Dim) String() string {
	switch {
	case d.Sym == "":
		return strconv.Itoa(d.C)
	case d.C == 1:
		return d.Sym
	}
	return strconv.Itoa(d.C) + "*" + d.Sym
}

func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// Equal reports whether both shapes have the same extents.
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

// Size returns the number of elements, 1 for a scalar.
func (s Shape) Size() Dim {
	n := Dim{C: 1}
	for _, d := range s {
		n = n.Mul(d)
	}
	return n
}

// Dims returns the extents of a constant shape; ok is false when one is symbolic.
func (s Shape) Dims() (dims []int, ok bool) {
	dims = make([]int, len(s))
	for i, d := range s {
		if !d.Fixed() {
			return nil, false
		}
		dims[i] = d.C
	}
	return dims, true
}

// Sizes gives the symbols of a program their values for one run.
type Sizes map[string]int

// Bind returns the dimensions of s under sizes. A symbol without a size, a dimension below 1 and a tensor of more than
// 1<<46 elements are errors.
func (s Shape) Bind(sizes Sizes) ([]int, error) {
	dims := make([]int, len(s))
	count := 1
	for i, d := range s {
		v := d.C
		for _, name := range d.symbols() {
			n, ok := sizes[name]
			if !ok {
				return nil, fmt.Errorf("graph: shape %v: no size for symbol %q", s, name)
			}
			if v < 1 || n < 1 || n > maxElements/v {
				return nil, fmt.Errorf("graph: shape %v: dimension %d is out of range with %s = %d", s, i, name, n)
			}
			v *= n
		}
		if v < 1 || count > maxElements/v {
			return nil, fmt.Errorf("graph: shape %v: dimension %d is out of range: want at most %d elements", s, i, maxElements)
		}
		count *= v
		dims[i] = v
	}
	return dims, nil
}

// match solves the symbols of s from the extents dims, adding to sizes.
func (s Shape) match(dims []int, sizes Sizes) error {
	if len(dims) != len(s) {
		return fmt.Errorf("want shape %v, got %v", s, dims)
	}
	for i, d := range s {
		want, known := d.C, true
		for _, name := range d.symbols() {
			n, ok := sizes[name]
			if !ok && d.Sym == name && dims[i] > 0 && dims[i]%d.C == 0 {
				n, ok = dims[i]/d.C, true
				sizes[name] = n
			}
			known = known && ok
			want *= n
		}
		if !known || want != dims[i] {
			return fmt.Errorf("want shape %v, got %v (dimension %d)", s, dims, i)
		}
	}
	return nil
}

// valid bounds the extents from below and, every symbol being 1, the number of elements from above.
func (s Shape) valid() error {
	n := 1
	for i, d := range s {
		if d.C < 1 || n > maxElements/d.C {
			return fmt.Errorf("shape %v: dimension %d is out of range", s, i)
		}
		n *= d.C
	}
	return nil
}
