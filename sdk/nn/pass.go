package nn

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A Model is a network or a part of one. Forward appends the computation of its output to p and
// returns it; x is the main input. The result depends only on the value of the model and on p,
// because Forward is called once for every program that is built.
type Model interface {
	Forward(p *Pass, x graph.Node) graph.Node
}

// Func makes a [Model] of a function.
type Func func(p *Pass, x graph.Node) graph.Node

// Forward calls f.
func (f Func) Forward(p *Pass, x graph.Node) graph.Node {
	if f == nil {
		p.mistake("Func", "want a function, got nil")
		return x
	}
	return f(p, x)
}

// A Mode is the purpose of a pass: inference or training.
type Mode uint8

// The modes.
const (
	Infer Mode = iota // batch norm by running statistics, no dropout
	Train             // batch norm by the statistics of the batch, dropout
)

// String returns "infer" or "train".
func (m Mode) String() string {
	switch m {
	case Infer:
		return "infer"
	case Train:
		return "train"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// A Pass is one forward pass: a [graph.Builder] with parameters, statistics, inputs and outputs by
// name. [NewPass] makes one. Set the exported fields before Forward is called; [Pass.At] copies
// them.
//
// A pass updates no slot. It collects the next values of statistics in Stats, and the caller that
// made the pass commits them with [graph.Builder.Update] or drops them.
type Pass struct {
	*graph.Builder

	// Mode is the purpose of the pass. The zero value is Infer.
	Mode Mode

	// Inputs holds the inputs that [Pass.Input] returns, by name, the main one included. Nil: there
	// is no input by name.
	Inputs map[string]graph.Node

	// Outputs holds the outputs of the model in addition to the main one, by name. NewPass makes
	// it, and [Pass.Output] adds to it.
	Outputs map[string]graph.Node

	// Targets holds the targets that [Pass.Target] returns to a loss, by name, the main one
	// included. Nil: there is no target by name.
	Targets map[string]graph.Node

	// Clean is the main output of the first point of a training step, which is not compressed. The
	// loss of a later point can compare with it (distillation) if the point has one. In all other
	// passes it is none.
	Clean graph.Node

	// Key seeds dropout: an I64 tensor [2] that contains seed and step. Passes with the same key
	// drop the same elements, so both gradients of a CrAM step are gradients of one function. None
	// suffices for a model without dropout.
	Key graph.Node

	// Weights holds values of parameters and statistics that replace those of their slots, by full
	// name. Nil: all values are those of the slots.
	Weights map[string]graph.Node

	// Stats holds the next values of the statistics that the pass has moved, by full name. NewPass
	// makes it, and [Pass.SetStat] adds to it.
	Stats map[string]graph.Node

	scope    string
	declared *declarations
}

// declarations is shared by all scopes of a pass.
type declarations struct {
	decls   []Decl
	index   map[string]int // of decls, by name
	streams int            // number of streams of random numbers in use
}

// A Decl is the declaration of a parameter or a statistic of a model.
type Decl struct {
	// Slot holds the value under its full name. Its kind is graph.Param or graph.Stat.
	graph.Slot
	// Init computes the initial value, unless Initial is set.
	Init Init
	// Initial is the initial value. None: the value that Init computes.
	Initial array.Tensor
}

// NewPass returns a pass that appends to b. Parameters and statistics are slots of b.
func NewPass(b *graph.Builder, mode Mode) *Pass {
	return &Pass{
		Builder:  b,
		Mode:     mode,
		Outputs:  map[string]graph.Node{},
		Stats:    map[string]graph.Node{},
		declared: &declarations{index: map[string]int{}},
	}
}

// At returns the pass with a scope that is put in front of names: the parameter "weight" of
// p.At("layer1").At("0") has the full name "layer1.0.weight".
func (p *Pass) At(scope string) *Pass {
	inner := *p
	inner.scope = p.full(scope)
	return &inner
}

// Apply appends m with its names in the given scope: it returns m.Forward(p.At(scope), x).
func (p *Pass) Apply(scope string, m Model, x graph.Node) graph.Node {
	if m == nil {
		p.Fail("nn: %s: want a Model, got nil", p.full(scope))
		return x
	}
	return m.Forward(p.At(scope), x)
}

// made reports whether NewPass has made the pass, and records a failure if not.
func (p *Pass) made() bool {
	if p.declared == nil {
		p.Fail("nn: want a Pass that NewPass has made, got another one")
	}
	return p.declared != nil
}

// full returns the full name of a name in this scope.
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

// Param declares the trained parameter of this name in this scope and returns it: an F32 tensor of
// dimensions dims, a scalar if there are none. A second call with the same arguments returns the
// same parameter, so two layers share weights by sharing the name.
func (p *Pass) Param(name string, role graph.Role, init Init, dims ...int) graph.Node {
	return p.declare(graph.Param, role, name, init, dims)
}

// Stat declares the running statistic of this name in this scope and returns it: an F32 tensor of
// dimensions dims. If [Pass.SetStat] has moved the statistic in this pass, Stat returns the next
// value.
func (p *Pass) Stat(name string, init Init, dims ...int) graph.Node {
	n := p.declare(graph.Stat, graph.Other, name, init, dims)
	if next, ok := p.Stats[p.full(name)]; ok {
		return next
	}
	return n
}

// SetInitial sets the initial value of a parameter or statistic that the pass has declared, by its
// name in this scope. The value, for example one of an earlier training, replaces that of Init.
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
	if !d.Initial.None() && !bytes.Equal(d.Initial.Data, value.Data) {
		p.Fail("nn: SetInitial: %s: want one initial value, got two; put each network into a scope (Pass.Apply)", full)
		return
	}
	dims, _ := d.Shape.Dims()
	if value.DType != d.DType || !slices.Equal(value.Dims, dims) || value.Check() != nil {
		p.Fail("nn: SetInitial: %s: want %v, got %v%v", full, d.Type, value.DType, value.Dims)
		return
	}
	d.Initial = value
}

// SetStat records next as the value after the pass of a statistic that [Pass.Stat] has declared, by
// its name in this scope.
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
		p.Fail("nn: SetStat: want a statistic of this pass, got %s; declare it with Stat first", full)
		return
	}
	if want, got := p.declared.decls[i].Type, p.Type(next); !got.Equal(want) {
		p.Fail("nn: SetStat: %s: want %v, got %v", full, want, got)
		return
	}
	p.Stats[full] = next
}

// Input returns the input of this name, a field of the examples. The main input is also the
// argument of Forward. Scopes do not apply to the name.
func (p *Pass) Input(name string) graph.Node { return p.named("input", name, p.Inputs) }

// Target returns the target of this name, a field of the examples, for a loss that compares with
// several. The main target is also the argument of Loss.
func (p *Pass) Target(name string) graph.Node { return p.named("target", name, p.Targets) }

func (p *Pass) named(kind, name string, nodes map[string]graph.Node) graph.Node {
	n, ok := nodes[name]
	if !ok {
		p.Fail("nn: want the %s %q, the examples have %q", kind, name, slices.Sorted(maps.Keys(nodes)))
	}
	return n
}

// Output adds an output of the model, in addition to the main one, which Forward returns. Scopes do
// not apply to the name. A name that is empty or repeats is a failure.
func (p *Pass) Output(name string, n graph.Node) {
	if _, ok := p.Outputs[name]; ok || name == "" {
		p.Fail("nn: want a new name for each output, got %q", name)
		return
	}
	p.Outputs[name] = n
}

// Decls returns the parameters and statistics that the pass has declared, in order of first use.
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
	t := graph.Type{DType: array.F32, Shape: graph.Of(dims...)}
	d := Decl{graph.Slot{Name: full, Kind: kind, Role: role, Type: t}, init, array.Tensor{}}
	switch {
	case name == "":
		p.Fail("nn: scope %q: want a name for a %v, got none", p.scope, kind)
	case init == nil:
		p.Fail("nn: %s: want an Init, got nil", full)
	}
	for _, n := range dims {
		if n < 1 {
			p.Fail("nn: %s: want dimensions of at least 1, got %v", full, dims)
		}
	}
	if i, ok := p.declared.index[full]; !ok {
		p.declared.index[full] = len(p.declared.decls)
		p.declared.decls = append(p.declared.decls, d)
	} else if old := p.declared.decls[i]; old.Kind != kind || old.Role != role || !old.Type.Equal(d.Type) {
		p.Fail("nn: %s: want %v %v %v as declared before, got %v %v %v", full, old.Kind, old.Role, old.Type, kind, role, d.Type)
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

// Inline is [graph.Builder.Inline] with new streams of random numbers: each stream of program is
// replaced by one that no other layer of the pass uses.
func (p *Pass) Inline(program *graph.Program, inputs []graph.Node, slot func(graph.Slot) graph.Node) ([]graph.Node, map[string]graph.Node) {
	own := *program
	own.Code = slices.Clone(program.Code)
	streams := map[int]int{}
	for k, i := range own.Code {
		a, ok := i.Attr.(graph.UniformAttr)
		if !ok {
			continue
		}
		n, ok := streams[a.Stream]
		if !ok {
			n = p.stream()
			streams[a.Stream] = n
		}
		a.Stream = n
		own.Code[k].Attr = a
	}
	return p.Builder.Inline(&own, inputs, slot)
}

// stream returns the number of an unused stream of random numbers of the pass.
func (p *Pass) stream() int {
	if !p.made() {
		return 0
	}
	p.declared.streams++
	return p.declared.streams - 1
}

// size returns the size of an axis of x and records a failure unless it is constant and x has the
// given rank. Rank 0 stands for any rank, axis -1 for the last axis. After a failure size returns
// 1.
func (p *Pass) size(layer string, x graph.Node, rank, axis int) int {
	s := p.Shape(x)
	if axis < 0 {
		axis = max(len(s)-1, 0)
	}
	switch {
	case p.Err() != nil:
		return 1
	case x.None():
		p.mistake(layer, "want x, got none")
	case rank != 0 && len(s) != rank:
		p.mistake(layer, "want x of rank %d, got %v", rank, p.Type(x))
	case axis >= len(s) || !s[axis].Fixed():
		p.mistake(layer, "want a constant size of axis %d of x, got %v", axis, p.Type(x))
	default:
		return s[axis].C
	}
	return 1
}

// positive reports whether a setting of a layer is at least 1, and records a failure if not.
func (p *Pass) positive(layer, field string, v int) bool {
	if v < 1 {
		p.mistake(layer, "want %s of at least 1, got %d", field, v)
	}
	return v >= 1
}

// or returns v, or zeroMeans if v is zero.
func or[T int | float64](v, zeroMeans T) T {
	if v == 0 {
		return zeroMeans
	}
	return v
}

// within records a failure unless lo ≤ v ≤ hi. NaN is a failure.
func (p *Pass) within(layer, field string, v, lo, hi float64) {
	if !(v >= lo && v <= hi) {
		p.mistake(layer, "want %s from %g to %g, got %g", field, lo, hi, v)
	}
}
