package graph

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
)

// Input declares a tensor that each run is fed, and returns it.
func (b *Builder) Input(name string, d array.DType, s Shape) Node {
	if b.err != nil {
		return Node{b, 0}
	}
	for _, in := range b.p.Inputs {
		if in.Name == name {
			b.Fail("graph: input %q is declared twice", name)
		}
	}
	n := b.source(OpInput, SourceAttr{Name: name, DType: d, Shape: s})
	if b.err == nil {
		b.p.Inputs = append(b.p.Inputs, Port{name, n.id})
	}
	return n
}

// Slot declares a slot, whose shape must be constant, and returns its value at the start of a run.
// A second call with an equal declaration returns the same node; with another one it is a mistake.
func (b *Builder) Slot(s Slot) Node {
	if b.err != nil {
		return Node{b, 0}
	}
	if n, ok := b.slots[s.Name]; ok {
		old, _ := b.p.Slot(s.Name)
		if old.Kind != s.Kind || old.Role != s.Role || !old.Type.Equal(s.Type) {
			b.Fail("graph: slot %q is declared as %v %v %v and again as %v %v %v",
				s.Name, old.Kind, old.Role, old.Type, s.Kind, s.Role, s.Type)
		}
		return n
	}
	if _, fixed := s.Shape.Dims(); !fixed {
		b.Fail("graph: slot %q: want a constant shape, got %v", s.Name, s.Shape)
	}
	n := b.source(OpSlot, SourceAttr{Name: s.Name, DType: s.DType, Shape: s.Shape})
	if b.err == nil {
		if b.slots == nil {
			b.slots = map[string]Node{}
		}
		b.slots[s.Name] = n
		b.p.Slots = append(b.p.Slots, s)
	}
	return n
}

// Const returns a tensor of type d and shape s whose elements are all x.
func (b *Builder) Const(d array.DType, x float64, s Shape) Node {
	return b.emit1(OpConst, ConstAttr{DType: d, Shape: s, Value: x})
}

// ConstLike returns a tensor of n's type whose elements are all x.
func (b *Builder) ConstLike(n Node, x float64) Node {
	t := b.Type(n)
	return b.Const(t.DType, x, t.Shape)
}

// Uniform returns random numbers in [0, 1): element i is [Uniform](key, stream, i). key is an I64
// tensor of two elements, (seed, step). Draws that differ in nothing but their stream are
// independent.
func (b *Builder) Uniform(key Node, stream int, d array.DType, s Shape) Node {
	return b.emit1(OpUniform, UniformAttr{Stream: stream, DType: d, Shape: s}, key)
}

func (b *Builder) source(op Op, a SourceAttr) Node {
	if a.Name == "" {
		b.Fail("graph: %s needs a name", op)
	}
	return b.emit1(op, a)
}

func inferSource(_ []Type, attr Attr) ([]Type, error) {
	a := attr.(SourceAttr)
	return checked(a.DType, a.Shape)
}

func inferConst(_ []Type, attr Attr) ([]Type, error) {
	a := attr.(ConstAttr)
	return checked(a.DType, a.Shape)
}

func inferUniform(in []Type, attr Attr) ([]Type, error) {
	a := attr.(UniformAttr)
	if want := (Type{array.I64, Of(2)}); !in[0].Equal(want) {
		return nil, fmt.Errorf("key: want %v, got %v", want, in[0])
	}
	if !a.DType.Float() {
		return nil, fmt.Errorf("want a float type, got %v", a.DType)
	}
	return checked(a.DType, a.Shape)
}

// checked returns the type with a copy of the shape, or an error if it is not valid.
func checked(d array.DType, s Shape) ([]Type, error) {
	if !d.Valid() {
		return nil, fmt.Errorf("want a type of elements, got %v", d)
	}
	if err := s.valid(); err != nil {
		return nil, err
	}
	return []Type{{d, append(Shape(nil), s...)}}, nil
}
