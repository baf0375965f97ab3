package graph

import (
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// Reshape returns the elements of x in another shape. One dimension of s may be Dim{}: it is
// computed.
func (b *Builder) Reshape(x Node, s Shape) Node {
	if !b.owns("reshape", x) {
		return Node{b, 0}
	}
	if i := slices.Index(s, Dim{}); i >= 0 {
		rest := Dim{C: 1}
		for j, d := range s {
			if j != i {
				rest = rest.Mul(d)
			}
		}
		d, ok := b.Shape(x).Size().div(rest)
		if !ok {
			b.Fail("graph: reshape %v to %v: the dimensions do not divide", b.Shape(x), s)
		}
		s = slices.Replace(slices.Clone(s), i, i+1, d)
	}
	if b.Shape(x).Equal(s) {
		return x
	}
	return b.emit1(OpReshape, ReshapeAttr{s}, x)
}

// Flatten returns x with the axes from axis on merged into one.
func (b *Builder) Flatten(x Node, axis int) Node {
	s := b.Shape(x)
	if axis < 0 || axis > len(s) {
		b.Fail("graph: flatten %v from axis %d", s, axis)
		return Node{b, 0}
	}
	return b.Reshape(x, append(slices.Clone(s[:axis]), s[axis:].Size()))
}

// Transpose returns x with its axes permuted: axis i of the result is axis perm[i] of x.
func (b *Builder) Transpose(x Node, perm ...int) Node {
	return b.emit1(OpTranspose, TransposeAttr{slices.Clone(perm)}, x)
}

// Broadcast returns x repeated to shape s along axes of size 1 and along new outer axes.
func (b *Builder) Broadcast(x Node, s Shape) Node {
	if b.owns("broadcast", x) && b.Shape(x).Equal(s) {
		return x
	}
	return b.emit1(OpBroadcast, ReshapeAttr{s}, x)
}

// Slice returns the elements begin, begin+step, … below end of each axis; see [SliceAttr].
func (b *Builder) Slice(x Node, begin, end, step []int) Node {
	return b.emit1(OpSlice, SliceAttr{slices.Clone(begin), slices.Clone(end), slices.Clone(step)}, x)
}

// Pad returns x with zeros before, after and between the elements of each axis; see [PadAttr].
func (b *Builder) Pad(x Node, lo, hi, inner []int) Node {
	return b.emit1(OpPad, PadAttr{slices.Clone(lo), slices.Clone(hi), slices.Clone(inner)}, x)
}

// Concat returns xs one after another along axis. Their other dimensions are equal.
func (b *Builder) Concat(axis int, xs ...Node) Node {
	return b.emit1(OpConcat, ConcatAttr{axis}, xs...)
}

// Gather returns the rows of table that index (I32) names. The shape of the result is that of
// index, followed by that of table without its first axis. An index out of range is an error of the
// run.
func (b *Builder) Gather(table, index Node) Node { return b.emit1(OpGather, nil, table, index) }

// ScatterAdd returns a table of so many rows: zeros, to whose rows at index (I32) the rows of src
// are added.
func (b *Builder) ScatterAdd(src, index Node, rows int) Node {
	return b.emit1(OpScatterAdd, ScatterAddAttr{rows}, src, index)
}

func inferReshape(in []Type, attr Attr) ([]Type, error) {
	s := attr.(ReshapeAttr).Shape
	if in[0].Shape.Size() != s.Size() {
		return nil, fmt.Errorf("%v has %v elements, %v has %v", in[0].Shape, in[0].Shape.Size(), s, s.Size())
	}
	return checked(in[0].DType, s)
}

func gradReshape(b *Builder, _ Instr, x, _, d []Node) []Node {
	return []Node{b.Reshape(d[0], b.Shape(x[0]))}
}

func inferTranspose(in []Type, attr Attr) ([]Type, error) {
	perm := attr.(TransposeAttr).Perm
	sorted := slices.Sorted(slices.Values(perm))
	if len(perm) != len(in[0].Shape) {
		return nil, fmt.Errorf("permutation %v does not fit %v", perm, in[0])
	}
	for i, p := range sorted {
		if p != i {
			return nil, fmt.Errorf("%v is not a permutation", perm)
		}
	}
	s := make(Shape, len(perm))
	for i, p := range perm {
		s[i] = in[0].Shape[p]
	}
	return []Type{{in[0].DType, s}}, nil
}

func gradTranspose(b *Builder, i Instr, _, _, d []Node) []Node {
	perm := i.Attr.(TransposeAttr).Perm
	inv := make([]int, len(perm))
	for i, p := range perm {
		inv[p] = i
	}
	return []Node{b.Transpose(d[0], inv...)}
}

func inferBroadcast(in []Type, attr Attr) ([]Type, error) {
	s := attr.(ReshapeAttr).Shape
	got, err := broadcastShape(in[0].Shape, s)
	if err != nil || !got.Equal(s) {
		return nil, fmt.Errorf("%v does not broadcast to %v", in[0].Shape, s)
	}
	return checked(in[0].DType, s)
}

func gradBroadcast(b *Builder, _ Instr, x, _, d []Node) []Node {
	from, to := b.Shape(x[0]), b.Shape(d[0])
	var axes []int
	off := len(to) - len(from)
	for i := range to {
		if i < off || from[i-off] != to[i] {
			axes = append(axes, i)
		}
	}
	return []Node{b.Reshape(b.Sum(d[0], true, axes...), from)}
}

func inferSlice(in []Type, attr Attr) ([]Type, error) {
	a, x := attr.(SliceAttr), in[0]
	r := len(x.Shape)
	if len(a.Begin) != r || len(a.End) != r || len(a.Step) != r {
		return nil, fmt.Errorf("want %d begins, ends and steps for %v, got %v", r, x, a)
	}
	s := make(Shape, r)
	for i, d := range x.Shape {
		if a.Begin[i] == 0 && a.End[i] == -1 && a.Step[i] == 1 {
			s[i] = d
			continue
		}
		end := a.End[i]
		if end == -1 {
			end = d.C
		}
		if !d.Fixed() || a.Begin[i] < 0 || end <= a.Begin[i] || end > d.C || a.Step[i] < 1 {
			return nil, fmt.Errorf("range %d:%d:%d does not fit axis %d of %v", a.Begin[i], a.End[i], a.Step[i], i, x)
		}
		s[i] = Dim{C: (end-a.Begin[i]-1)/a.Step[i] + 1}
	}
	return []Type{{x.DType, s}}, nil
}

func gradSlice(b *Builder, i Instr, x, y, d []Node) []Node {
	a := i.Attr.(SliceAttr)
	full, part := b.Shape(x[0]), b.Shape(y[0])
	r := len(full)
	lo, hi, inner := make([]int, r), make([]int, r), make([]int, r)
	for i := range full {
		if full[i].Fixed() {
			lo[i], inner[i] = a.Begin[i], a.Step[i]-1
			hi[i] = full[i].C - lo[i] - ((part[i].C-1)*a.Step[i] + 1)
		}
	}
	return []Node{b.Pad(d[0], lo, hi, inner)}
}

func inferPad(in []Type, attr Attr) ([]Type, error) {
	a, x := attr.(PadAttr), in[0]
	r := len(x.Shape)
	if len(a.Lo) != r || len(a.Hi) != r || len(a.Inner) != r {
		return nil, fmt.Errorf("want %d paddings for %v, got %v", r, x, a)
	}
	s := make(Shape, r)
	for i, d := range x.Shape {
		switch {
		case a.Lo[i] == 0 && a.Hi[i] == 0 && a.Inner[i] == 0:
			s[i] = d
		case !d.Fixed() || a.Lo[i] < 0 || a.Hi[i] < 0 || a.Inner[i] < 0:
			return nil, fmt.Errorf("padding %d, %d, %d does not fit axis %d of %v", a.Lo[i], a.Hi[i], a.Inner[i], i, x)
		default:
			s[i] = Dim{C: a.Lo[i] + a.Hi[i] + (d.C-1)*(a.Inner[i]+1) + 1}
		}
	}
	return []Type{{x.DType, s}}, nil
}

func gradPad(b *Builder, i Instr, x, y, d []Node) []Node {
	a := i.Attr.(PadAttr)
	from, to := b.Shape(x[0]), b.Shape(y[0])
	r := len(from)
	begin, end, step := make([]int, r), make([]int, r), make([]int, r)
	for i := range from {
		begin[i], end[i], step[i] = a.Lo[i], -1, a.Inner[i]+1
		if to[i].Fixed() {
			end[i] = to[i].C - a.Hi[i]
		}
	}
	return []Node{b.Slice(d[0], begin, end, step)}
}

func inferConcat(in []Type, attr Attr) ([]Type, error) {
	axis := attr.(ConcatAttr).Axis
	if axis < 0 || axis >= len(in[0].Shape) {
		return nil, fmt.Errorf("axis %d of %v", axis, in[0])
	}
	s := slices.Clone(in[0].Shape)
	for i, t := range in {
		if len(t.Shape) != len(s) || t.DType != in[0].DType || !t.Shape[axis].Fixed() {
			return nil, fmt.Errorf("operand %d: %v does not join %v along axis %d", i, t, in[0], axis)
		}
		for j, d := range t.Shape {
			if j != axis && d != s[j] {
				return nil, fmt.Errorf("operand %d: %v does not join %v along axis %d", i, t, in[0], axis)
			}
		}
		if i > 0 {
			s[axis].C += t.Shape[axis].C
		}
	}
	return []Type{{in[0].DType, s}}, nil
}

func gradConcat(b *Builder, i Instr, xs, _, d []Node) []Node {
	axis := i.Attr.(ConcatAttr).Axis
	out, at := make([]Node, len(xs)), 0
	for i, x := range xs {
		s := b.Shape(x)
		begin, end, step := make([]int, len(s)), make([]int, len(s)), make([]int, len(s))
		for j := range s {
			end[j], step[j] = -1, 1
		}
		begin[axis], end[axis] = at, at+s[axis].C
		at = end[axis]
		out[i] = b.Slice(d[0], begin, end, step)
	}
	return out
}

func inferGather(in []Type, _ Attr) ([]Type, error) {
	if in[1].DType != array.I32 || len(in[0].Shape) < 1 || !in[0].Shape[0].Fixed() {
		return nil, fmt.Errorf("want a table with constant rows and an i32 index, got %v and %v", in[0], in[1])
	}
	return []Type{{in[0].DType, append(slices.Clone(in[1].Shape), in[0].Shape[1:]...)}}, nil
}

func gradGather(b *Builder, _ Instr, in, _, d []Node) []Node {
	return []Node{b.ScatterAdd(d[0], in[1], b.Shape(in[0])[0].C), {}}
}

func inferScatterAdd(in []Type, attr Attr) ([]Type, error) {
	src, idx := in[0], in[1]
	r := len(idx.Shape)
	if err := needFloat(src); err != nil {
		return nil, err
	}
	if idx.DType != array.I32 || len(src.Shape) < r || !src.Shape[:r].Equal(idx.Shape) {
		return nil, fmt.Errorf("want src with the axes of the i32 index %[2]v first, got %[1]v", src, idx)
	}
	return checked(src.DType, append(Shape{{C: attr.(ScatterAddAttr).Rows}}, src.Shape[r:]...))
}

func gradScatterAdd(b *Builder, _ Instr, in, _, d []Node) []Node {
	return []Node{b.Gather(d[0], in[1]), {}}
}
