package graph

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compressaware/cram/sdk/array"
)

// A Dim is one dimension of a shape: a constant C, or C times a product of symbols. A symbol is a
// size that is known only when a program runs: "N" of the batch, "T" of a text.
type Dim struct {
	C   int
	Sym string // "" for a constant; else names of symbols, sorted and joined by "*"
}

// A Shape is the dimensions of a tensor, outermost first. A nil Shape is that of a scalar.
type Shape []Dim

// Of returns a constant shape.
func Of(dims ...int) Shape {
	s := make(Shape, len(dims))
	for i, d := range dims {
		s[i] = Dim{C: d}
	}
	return s
}

// Batch returns the shape (N, dims...), where N is the symbol of the batch size.
func Batch(dims ...int) Shape { return append(Shape{Sym("N")}, Of(dims...)...) }

// Sym returns the dimension that is the symbol s.
func Sym(s string) Dim { return Dim{C: 1, Sym: s} }

// Fixed reports whether d is a constant.
func (d Dim) Fixed() bool { return d.Sym == "" }

// Mul returns d·e.
func (d Dim) Mul(e Dim) Dim {
	syms := append(d.symbols(), e.symbols()...)
	slices.Sort(syms)
	return Dim{C: d.C * e.C, Sym: strings.Join(syms, "*")}
}

// div returns d/e, and whether the division is exact.
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

// Equal reports whether both shapes have the same dimensions.
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

// Size returns the number of elements, 1 for a scalar.
func (s Shape) Size() Dim {
	n := Dim{C: 1}
	for _, d := range s {
		n = n.Mul(d)
	}
	return n
}

// Dims returns the dimensions of a constant shape. ok is false if one is symbolic.
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

// Sizes has the size of each symbol of a program in one run.
type Sizes map[string]int

// Bind returns the dimensions of s for these sizes. A symbol without a size and dimensions that
// [array.CheckDims] refuses are errors.
func (s Shape) Bind(sizes Sizes) ([]int, error) {
	dims := make([]int, len(s))
	for i, d := range s {
		factors := []int{d.C}
		for _, name := range d.symbols() {
			n, ok := sizes[name]
			if !ok {
				return nil, fmt.Errorf("graph: shape %v: no size for symbol %q", s, name)
			}
			factors = append(factors, n)
		}
		if err := array.CheckDims(factors); err != nil {
			return nil, fmt.Errorf("graph: shape %v: dimension %d: %w", s, i, err)
		}
		dims[i] = array.Count(factors)
	}
	if err := array.CheckDims(dims); err != nil {
		return nil, fmt.Errorf("graph: shape %v: %w", s, err)
	}
	return dims, nil
}

// match compares s with dims and adds to sizes the symbols that are not there yet.
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

// valid returns an error if the dimensions of s are out of range when every symbol is 1.
func (s Shape) valid() error {
	dims := make([]int, len(s))
	for i, d := range s {
		dims[i] = d.C
	}
	if err := array.CheckDims(dims); err != nil {
		return fmt.Errorf("shape %v: %w", s, err)
	}
	return nil
}
