package nn

import (
	"fmt"
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A Model is a network, or a part of one. Forward appends the computation of its output from x to p. It must depend on
// nothing but the model's value and p: it is called once for every program that is built.
type Model interface {
	Forward(p *Pass, x graph.Node) graph.Node
}

// Func is a function as a [Model].
type Func func(p *Pass, x graph.Node) graph.Node

// Forward calls f.
func (f Func) Forward(p *Pass, x graph.Node) graph.Node {
	if f == nil {
		p.mistake("Func", "the function is nil")
		return x
	}
	return f(p, x)
}

// A Mode says what a pass is for.
type Mode uint8

// The modes.
const (
	Infer Mode = iota // running statistics, no dropout
	Train             // statistics of the batch, dropout
)

func (m Mode) String() string {
	switch m {
	case Infer:
		return "infer"
	case Train:
		return "train"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// A Pass is one forward pass: a [graph.Builder] that also resolves parameters, statistics, inputs and
// outputs by name. [NewPass] makes one. The exported fields are set before the model's Forward is
// called; [Pass.At] copies them.
//
// A pass writes nothing: the next values of statistics are collected in Stats, and the maker of the
// pass commits them with [graph.Builder.Update] or drops them.
type Pass struct {
	*graph.Builder

	Mode Mode

	// Inputs holds the inputs by name, as [Pass.Input] returns them. The main one is also the
	// argument of Forward.
	Inputs map[string]graph.Node

	// Outputs holds the further outputs of the model by name. [Pass.Output] fills it in.
	Outputs map[string]graph.Node

	// Targets holds the targets by name, as [Pass.Target] returns them to a loss.
	Targets map[string]graph.Node

	// Clean is the main output of the first, clean pass of a training step, for the loss of a later
	// one: distillation. It is none in the first pass.
	Clean graph.Node

	// Key seeds dropout: an I64 tensor [2], (seed, step). A model without dropout needs none. Two
	// passes with the same key drop the same units, so that both gradients of a CrAM step are of one
	// function.
	Key graph.Node

	// Weights gives parameters and statistics, by full name, other values than those of their slots.
	Weights map[string]graph.Node

	// Stats holds the next value of each statistic that the pass moved, by full name.
	Stats map[string]graph.Node

	scope    string
	declared *declarations
}

// declarations is what the scopes of one pass share.
type declarations struct {
	decls   []Decl
	index   map[string]int // of decls, by name
	streams int            // of random numbers in use
}

// A Decl is a parameter or a statistic of a model: the slot that holds it, under its full name, and its
// initial value.
type Decl struct {
	graph.Slot // Kind is graph.Param or graph.Stat
	Init       Init
	Initial    array.Tensor // initial value in place of what Init draws; none: Init
}

// NewPass returns a pass that appends to b, with parameters and statistics in slots of their own.
func NewPass(b *graph.Builder, mode Mode) *Pass {
	return &Pass{
		Builder:  b,
		Mode:     mode,
		Outputs:  map[string]graph.Node{},
		Stats:    map[string]graph.Node{},
		declared: &declarations{index: map[string]int{}},
	}
}

// At returns the pass with names inside the given scope: p.At("layer1").At("0") names "layer1.0.…".
func (p *Pass) At(scope string) *Pass {
	inner := *p
	inner.scope = p.full(scope)
	return &inner
}

// Apply appends m with its names inside the given scope: m.Forward(p.At(scope), x).
func (p *Pass) Apply(scope string, m Model, x graph.Node) graph.Node {
	if m == nil {
		p.Fail("nn: %s is a nil Model", p.full(scope))
		return x
	}
	return m.Forward(p.At(scope), x)
}

// made fails unless NewPass has made the pass.
func (p *Pass) made() bool {
	if p.declared == nil {
		p.Fail("nn: the Pass is empty; make one with NewPass")
	}
	return p.declared != nil
}

// full returns the full name of what is called name in this scope.
func (p *Pass) full(name string) string {
	if p.scope == "" {
		return name
	}
	return p.scope + "." + name
}

// mistake records a failure of a layer in this scope.
func (p *Pass) mistake(layer, format string, args ...any) {
	if p.scope != "" {
		layer = p.scope + " (" + layer + ")"
	}
	p.Fail("nn: "+layer+": "+format, args...)
}

// Param returns the trained parameter of this name in this scope, an F32 tensor of the given extents (none: a scalar).
// Asking again in the same way returns the same parameter, so weights are shared by sharing the name.
func (p *Pass) Param(name string, role graph.Role, init Init, dims ...int) graph.Node {
	return p.declare(graph.Param, role, name, init, dims)
}

// Stat returns the running statistic of this name in this scope, an F32 tensor of the given extents: its next value
// where this pass has moved it already.
func (p *Pass) Stat(name string, init Init, dims ...int) graph.Node {
	n := p.declare(graph.Stat, graph.Other, name, init, dims)
	if next, ok := p.Stats[p.full(name)]; ok {
		return next
	}
	return n
}

// SetInitial gives a parameter or statistic of this name in this scope, which the pass has declared, an
// initial value in place of what its Init draws: one that was trained before.
func (p *Pass) SetInitial(name string, value array.Tensor) {
	full := p.full(name)
	if !p.made() || p.Err() != nil {
		return
	}
	i, ok := p.declared.index[full]
	if !ok {
		p.Fail("nn: SetInitial: want a parameter or statistic of this pass, got %s", full)
		return
	}
	d := &p.declared.decls[i]
	dims, _ := d.Shape.Dims()
	if value.DType != d.DType || !slices.Equal(value.Dims, dims) || value.Check() != nil {
		p.Fail("nn: SetInitial: %s: want %v, got %v%v", full, d.Type, value.DType, value.Dims)
		return
	}
	d.Initial = value
}

// SetStat moves a statistic that [Pass.Stat] has declared: it records next as its value after the pass.
func (p *Pass) SetStat(name string, next graph.Node) {
	if !p.made() {
		return
	}
	full := p.full(name)
	i, ok := p.declared.index[full]
	switch {
	case p.Err() != nil:
		return
	case !ok || p.declared.decls[i].Kind != graph.Stat:
		p.Fail("nn: SetStat: %s is not a statistic of this pass; declare it with Stat first", full)
		return
	}
	if want, got := p.declared.decls[i].Type, p.Type(next); !got.Equal(want) {
		p.Fail("nn: SetStat: %s: want %v, got %v", full, want, got)
		return
	}
	p.Stats[full] = next
}

// Input returns the input of this name: a field of the examples besides the main one, which is the
// argument of Forward. Scopes do not apply to it.
func (p *Pass) Input(name string) graph.Node { return p.named("input", name, p.Inputs) }

// Target returns the target of this name, for a loss that compares with more than the main one.
func (p *Pass) Target(name string) graph.Node { return p.named("target", name, p.Targets) }

func (p *Pass) named(kind, name string, nodes map[string]graph.Node) graph.Node {
	n, ok := nodes[name]
	if !ok {
		p.Fail("nn: want the %s %q, the examples have %q", kind, name, slices.Sorted(maps.Keys(nodes)))
	}
	return n
}

// Output adds an output to the main one, which Forward returns. Scopes do not apply to its name.
func (p *Pass) Output(name string, n graph.Node) {
	if _, ok := p.Outputs[name]; ok || name == "" {
		p.Fail("nn: want outputs of different names, got %q twice or empty", name)
		return
	}
	p.Outputs[name] = n
}

// Decls returns the parameters and statistics that the pass asked for, in order of first use.
func (p *Pass) Decls() []Decl {
	if p.declared == nil {
		return nil
	}
	return append([]Decl(nil), p.declared.decls...)
}

func (p *Pass) declare(kind graph.SlotKind, role graph.Role, name string, init Init, dims []int) graph.Node {
	if !p.made() {
		return graph.Node{}
	}
	full := p.full(name)
	d := Decl{graph.Slot{Name: full, Kind: kind, Role: role, Type: graph.Type{DType: array.F32, Shape: graph.Of(dims...)}}, init, array.Tensor{}}
	switch {
	case name == "":
		p.Fail("nn: a %v in scope %q has no name", kind, p.scope)
	case init == nil:
		p.Fail("nn: %s has no Init", full)
	}
	for i, n := range dims {
		if n < 1 {
			p.Fail("nn: %s: extents %v: dimension %d must be at least 1", full, dims, i)
		}
	}
	if i, ok := p.declared.index[full]; !ok {
		p.declared.index[full] = len(p.declared.decls)
		p.declared.decls = append(p.declared.decls, d)
	} else if old := p.declared.decls[i]; old.Kind != kind || old.Role != role || !old.Type.Equal(d.Type) {
		p.Fail("nn: %s is declared as %v %v %v and again as %v %v %v", full, old.Kind, old.Role, old.Type, kind, role, d.Type)
	}
	given, ok := p.Weights[full]
	if !ok {
		return p.Slot(d.Slot)
	}
	if got := p.Type(given); p.Err() == nil && !got.Equal(d.Type) {
		p.Fail("nn: Weights[%q]: want %v of this pass's builder, got %v", full, d.Type, got)
	}
	return given
}

// stream returns the number of a stream of random numbers that nothing else in the pass uses.
func (p *Pass) stream() int {
	if !p.made() {
		return 0
	}
	p.declared.streams++
	return p.declared.streams - 1
}

// extent returns the constant extent of an axis of x, which must have the given rank (0: any that has the axis; axis -1:
// the last). After a failure it returns 1.
func (p *Pass) extent(layer string, x graph.Node, rank, axis int) int {
	s := p.Shape(x)
	if axis < 0 {
		axis = max(len(s)-1, 0)
	}
	switch {
	case p.Err() != nil:
		return 1
	case x.None():
		p.mistake(layer, "x is none")
	case rank != 0 && len(s) != rank:
		p.mistake(layer, "want x of rank %d, got %v", rank, p.Type(x))
	case axis >= len(s) || !s[axis].Fixed():
		p.mistake(layer, "axis %d of x must be a constant extent, got %v", axis, p.Type(x))
	default:
		return s[axis].C
	}
	return 1
}

// positive fails unless a setting of a layer is at least 1.
func (p *Pass) positive(layer, field string, v int) bool {
	if v < 1 {
		p.mistake(layer, "%s is %d, must be at least 1", field, v)
	}
	return v >= 1
}

// or returns v, or the default where v is zero.
func or[T int | float64](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// within fails unless lo ≤ v ≤ hi; NaN is in no range.
func (p *Pass) within(layer, field string, v, lo, hi float64) {
	if !(v >= lo && v <= hi) {
		p.mistake(layer, "%s is %g, must be in [%g, %g]", field, v, lo, hi)
	}
}
