package graph

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// A Node is a value of a program that a [Builder] makes. The zero Node means "none".
type Node struct {
	b  *Builder
	id ID
}

// None reports whether n is the zero Node.
func (n Node) None() bool { return n.b == nil }

// A Builder appends instructions to a program. After the first mistake every call does nothing but
// return a Node, and [Builder.Program] returns the error. The zero value is an empty Builder. A
// Builder is for one goroutine.
type Builder struct {
	p     Program
	slots map[string]Node
	err   error
}

// NewBuilder returns an empty Builder.
func NewBuilder() *Builder { return &Builder{} }

// Err returns the first mistake, or nil.
func (b *Builder) Err() error { return b.err }

// Fail records a mistake, formatted as [fmt.Errorf] does, with the file and line of the caller
// outside this package and package nn. It does nothing after the first mistake.
func (b *Builder) Fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("%w (at %s)", fmt.Errorf(format, args...), caller())
	}
}

// caller returns file:line of the nearest frame outside of this package, package nn and the packages
// that trace models: the line of the user's model or loss where there is one.
func caller() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		inside := slices.ContainsFunc([]string{"cram/sdk/graph.", "cram/sdk/nn.", "cram/sdk/internal/step.", "cram/sdk."},
			func(pkg string) bool { return strings.Contains(f.Function, pkg) })
		if !inside || strings.HasSuffix(f.File, "_test.go") {
			return fmt.Sprintf("%s:%d", f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line)
		}
		if !more {
			return "unknown"
		}
	}
}

// Program verifies the program and returns it, without the instructions and slots that neither an
// output nor an update depends on. The builder must not be used afterwards. It returns an error
// after a mistake, or if there is neither an output nor an update.
func (b *Builder) Program() (*Program, error) {
	if b.err != nil {
		return nil, b.err
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

// Type returns the type of n. It is the zero Type if n is not a node of b, or after a mistake.
func (b *Builder) Type(n Node) Type {
	if n.b != b || b.err != nil {
		return Type{}
	}
	return b.p.Types[n.id]
}

// Shape returns the shape of n. It is nil where [Builder.Type] returns the zero Type.
func (b *Builder) Shape(n Node) Shape { return b.Type(n).Shape }

// Output declares n as an output of the program.
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

// Update declares that a run writes n, at its end, to the named slot. The slot must be declared,
// with the type of n.
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

// owns reports whether n is a node of b, and fails with what if it is not.
func (b *Builder) owns(what string, n Node) bool {
	switch {
	case b.err != nil:
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

// emit appends an instruction after its shape rule has checked the operands, and returns the
// results.
func (b *Builder) emit(op Op, attr Attr, in ...Node) []Node {
	def := table[op]
	outs := make([]Node, def.Outs(len(in)))
	for i := range outs {
		outs[i] = Node{b, 0}
	}
	if b.err != nil {
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
