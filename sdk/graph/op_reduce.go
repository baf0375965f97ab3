package graph

import (
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// Sum returns the sum of x along axes; no axes means all. keepDims leaves them with size 1.
func (b *Builder) Sum(x Node, keepDims bool, axes ...int) Node {
	return b.emit1(OpSum, b.axes(x, keepDims, axes), x)
}

// ReduceMax returns the maximum of x along axes, as [Builder.Sum] takes them. Equal maxima share
// the gradient.
func (b *Builder) ReduceMax(x Node, keepDims bool, axes ...int) Node {
	return b.emit1(OpReduceMax, b.axes(x, keepDims, axes), x)
}

// Mean returns the mean of x along axes, as [Builder.Sum] takes them.
func (b *Builder) Mean(x Node, keepDims bool, axes ...int) Node {
	return b.Div(b.Sum(x, keepDims, axes...), b.Count(x, axes...))
}

// Count returns the number of elements along axes (none: all) as a scalar of x's element type.
func (b *Builder) Count(x Node, axes ...int) Node {
	return b.emit1(OpCount, b.axes(x, false, axes), x)
}

// ArgMax returns the index of the first maximum along the last axis.
func (b *Builder) ArgMax(x Node) Node { return b.emit1(OpArgMax, nil, x) }

// Norm returns the Euclidean norm of all elements of all xs, a scalar.
func (b *Builder) Norm(xs ...Node) Node {
	var total Node
	for _, x := range xs {
		if s := b.Sum(b.Mul(x, x), false); total.None() {
			total = s
		} else {
			total = b.Add(total, s)
		}
	}
	return b.Sqrt(total)
}

func (b *Builder) axes(x Node, keepDims bool, axes []int) ReduceAttr {
	axes = slices.Clone(axes)
	if len(axes) == 0 {
		for i := range b.Shape(x) {
			axes = append(axes, i)
		}
	}
	slices.Sort(axes)
	return ReduceAttr{axes, keepDims}
}

func (a ReduceAttr) check(x Type) error {
	for i, ax := range a.Axes {
		if ax < 0 || ax >= len(x.Shape) || i > 0 && ax <= a.Axes[i-1] {
			return fmt.Errorf("axes %v do not fit %v", a.Axes, x)
		}
	}
	return needFloat(x)
}

func inferReduce(in []Type, attr Attr) ([]Type, error) {
	a := attr.(ReduceAttr)
	if err := a.check(in[0]); err != nil {
		return nil, err
	}
	var s Shape
	for i, d := range in[0].Shape {
		switch {
		case !slices.Contains(a.Axes, i):
			s = append(s, d)
		case a.KeepDims:
			s = append(s, Dim{C: 1})
		}
	}
	return []Type{{in[0].DType, s}}, nil
}

func inferCount(in []Type, attr Attr) ([]Type, error) {
	return []Type{{DType: in[0].DType}}, attr.(ReduceAttr).check(in[0])
}

func inferArgMax(in []Type, _ Attr) ([]Type, error) {
	r := len(in[0].Shape)
	if r == 0 {
		return nil, fmt.Errorf("want rank 1 or more, got %v", in[0])
	}
	return []Type{{array.I32, in[0].Shape[: r-1 : r-1]}}, needFloat(in[0])
}

// spread broadcasts y, a reduction of x by a, to x's shape.
func (b *Builder) spread(y, x Node, a ReduceAttr) Node {
	s := slices.Clone(b.Shape(x))
	for _, ax := range a.Axes {
		s[ax] = Dim{C: 1}
	}
	return b.Broadcast(b.Reshape(y, s), b.Shape(x))
}

func gradSum(b *Builder, i Instr, x, _, d []Node) []Node {
	return []Node{b.spread(d[0], x[0], i.Attr.(ReduceAttr))}
}

func gradReduceMax(b *Builder, i Instr, x, y, d []Node) []Node {
	a := i.Attr.(ReduceAttr)
	one := b.ConstLike(x[0], 1)
	isMax := b.Sub(one, b.Mask(one, b.Less(x[0], b.spread(y[0], x[0], a))))
	share := b.Div(d[0], b.Sum(isMax, a.KeepDims, a.Axes...))
	if len(a.Axes) == 0 {
		return []Node{d[0]}
	}
	return []Node{b.Mul(isMax, b.spread(share, x[0], a))}
}
