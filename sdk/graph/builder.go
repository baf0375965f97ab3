package graph

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/compressaware/cram/sdk/array"
)

// A Node is a value under construction. The zero Node is "none".
type Node struct {
	b  *Builder
	id ID
}

// None reports whether n is the zero Node.
func (n Node) None() bool { return n.b == nil }

// A Builder appends instructions to a program. The first mistake sticks: every later call is a no-op that returns a
// Node, and [Builder.Program] returns the error. A nil Builder has made one already. A Builder is for one goroutine.
type Builder struct {
	p     Program
	slots map[string]Node
	err   error
}

// NewBuilder returns an empty builder, like new(Builder).
func NewBuilder() *Builder { return &Builder{} }

var errNoBuilder = errors.New("graph: the Builder is nil; make one with NewBuilder")

// Err returns the first mistake, or nil.
func (b *Builder) Err() error {
	if b == nil {
		return errNoBuilder
	}
	return b.err
}

// Fail records a mistake, unless there is one already, with the place outside this package that caused it.
func (b *Builder) Fail(format string, args ...any) {
	if b.Err() == nil {
		b.err = fmt.Errorf("%w (at %s)", fmt.Errorf(format, args...), caller())
	}
}

// caller returns file:line of the nearest frame that is neither in this package nor a layer of package nn.
func caller() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		inside := strings.Contains(f.Function, "cram/sdk/graph.") || strings.Contains(f.Function, "cram/sdk/nn.")
		if !inside || strings.HasSuffix(f.File, "_test.go") {
			return fmt.Sprintf("%s:%d", f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line)
		}
		if !more {
			return "unknown"
		}
	}
}

// Program verifies and returns what was built. The builder must not be used afterwards.
func (b *Builder) Program() (*Program, error) {
	if err := b.Err(); err != nil {
		return nil, err
	}
	if len(b.p.Outputs) == 0 && len(b.p.Updates) == 0 {
		return nil, errors.New("graph: program has neither outputs nor updates; call Output or Update")
	}
	p := b.p
	p.prune()
	if err := p.Verify(); err != nil {
		return nil, err
	}
	return &p, nil
}

// Type returns the type of n; the zero Type when n is none or foreign or the builder has failed.
func (b *Builder) Type(n Node) Type {
	if n.b != b || b.Err() != nil {
		return Type{}
	}
	return b.p.Types[n.id]
}

// Shape returns the shape of n, like [Builder.Type].
func (b *Builder) Shape(n Node) Shape { return b.Type(n).Shape }

// Input declares a tensor that is fed at each run.
func (b *Builder) Input(name string, d array.DType, s Shape) Node {
	if b.Err() != nil {
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

// Slot declares a tensor that lives in the session and returns its value at the start of the run.
// Declaring the same slot again, in the same way, returns the same node.
func (b *Builder) Slot(s Slot) Node {
	if b.Err() != nil {
		return Node{b, 0}
	}
	if n, ok := b.slots[s.Name]; ok {
		old, _ := b.p.Slot(s.Name)
		if old.Kind != s.Kind || old.Role != s.Role || !old.Type.Equal(s.Type) {
			b.Fail("graph: slot %q is declared as %v %v %v and again as %v %v %v", s.Name, old.Kind, old.Role, old.Type, s.Kind, s.Role, s.Type)
		}
		return n
	}
	if _, fixed := s.Shape.Dims(); !fixed {
		b.Fail("graph: slot %q: shape %v must be constant", s.Name, s.Shape)
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

// Const returns a tensor whose every element is x.
func (b *Builder) Const(d array.DType, x float64, s Shape) Node {
	return b.emit1(OpConst, ConstAttr{DType: d, Shape: s, Value: x})
}

// ConstLike returns a tensor of n's type whose every element is x.
func (b *Builder) ConstLike(n Node, x float64) Node {
	t := b.Type(n)
	return b.Const(t.DType, x, t.Shape)
}

// Uniform returns numbers drawn uniformly from [0, 1), a function of key and stream alone: element i is
// [Uniform](key, stream, i). key is an I64 tensor of two elements, (seed, step). A program that draws twice uses two streams.
func (b *Builder) Uniform(key Node, stream int, d array.DType, s Shape) Node {
	return b.emit1(OpUniform, UniformAttr{Stream: stream, DType: d, Shape: s}, key)
}

// Output returns n to the caller of each run under the given name.
func (b *Builder) Output(name string, n Node) {
	if !b.owns("output "+name, n) {
		return
	}
	for _, o := range b.p.Outputs {
		if o.Name == name {
			b.Fail("graph: output %q is declared twice", name)
		}
	}
	b.p.Outputs = append(b.p.Outputs, Port{name, n.id})
}

// Update writes n to the named slot, which must be declared and of n's type, at the end of each run.
func (b *Builder) Update(slot string, n Node) {
	if !b.owns("update of "+slot, n) {
		return
	}
	s, ok := b.p.Slot(slot)
	if !ok {
		b.Fail("graph: update of slot %q, which is not declared; call Slot first", slot)
		return
	}
	if t := b.p.Types[n.id]; !t.Equal(s.Type) {
		b.Fail("graph: update of slot %q: want %v, got %v", slot, s.Type, t)
	}
	for _, u := range b.p.Updates {
		if u.Slot == slot {
			b.Fail("graph: slot %q is updated twice", slot)
		}
	}
	b.p.Updates = append(b.p.Updates, Update{slot, n.id})
}

func (b *Builder) source(op Op, a SourceAttr) Node {
	if a.Name == "" {
		b.Fail("graph: %s needs a name", op)
	}
	return b.emit1(op, a)
}

// owns reports whether n is a value of b, failing with what otherwise.
func (b *Builder) owns(what string, n Node) bool {
	switch {
	case b.Err() != nil:
		return false
	case n.b == nil:
		b.Fail("graph: %s: node is none", what)
	case n.b != b:
		b.Fail("graph: %s: node belongs to another builder", what)
	default:
		return true
	}
	return false
}

// emit appends an instruction; its shape rule checks the operands.
func (b *Builder) emit(op Op, attr Attr, in ...Node) []Node {
	def := table[op]
	outs := make([]Node, def.Outs(len(in)))
	for i := range outs {
		outs[i] = Node{b, 0}
	}
	if b.Err() != nil {
		return outs
	}
	ids, types := make([]ID, len(in)), make([]Type, len(in))
	for i, n := range in {
		if !b.owns(fmt.Sprintf("%s operand %d", op, i), n) {
			return outs
		}
		ids[i], types[i] = n.id, b.p.Types[n.id]
	}
	got, err := def.Infer(types, attr)
	if err != nil {
		b.Fail("graph: %s%v: %w", op, types, err)
		return outs
	}
	instr := Instr{Op: op, Attr: attr, In: ids}
	for i, t := range got {
		id := ID(len(b.p.Types))
		b.p.Types = append(b.p.Types, t)
		instr.Out = append(instr.Out, id)
		outs[i].id = id
	}
	b.p.Code = append(b.p.Code, instr)
	return outs
}

func (b *Builder) emit1(op Op, attr Attr, in ...Node) Node { return b.emit(op, attr, in...)[0] }
