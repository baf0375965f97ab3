package cpu

import (
	"fmt"
	"slices"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A lowered program is the result of Compile: steps over values whose layouts are chosen. It does
// not depend on the sizes of symbols.
type lowered struct {
	program *graph.Program
	values  []value
	steps   []*step
	outputs []valueID // in row-major layout
	updates []valueID
	consts  []array.Tensor
	frozen  map[string]int // index of a constant by slot name
	choices []backends.Choice
	memory  budget // what Compile allocated
	parts   int    // of a batch
}

// A step is an operator applied to values.
type step struct {
	name string // for profiles and plans: "conv2d conv1.weight"
	op   operator
	in   []valueID
	out  []valueID
}

// An operator computes a step. Its method phases returns the loops for given sizes.
type operator interface {
	phases(b *binding, s *step) ([]phase, error)
}

// lowering is the state of one compilation.
type lowering struct {
	lowered
	isa     kernels.InstructionSet
	pin     *backends.Plan  // nil: none
	users   [][]int         // by graph.ID: the instructions that read it
	maker   []int           // by graph.ID: the instruction that computes it
	kept    []bool          // by graph.ID: an output or an update
	layouts []layouts       // by graph.ID
	fused   map[int]lowerFn // by instruction: replaces its row of the table
	skipped map[int]bool    // instructions that are part of a fusion
}

// lowerFn lowers one instruction.
type lowerFn func(l *lowering, i graph.Instr) error

// layouts are the values of a graph.ID: one in each layout, or what computes it when an instruction
// reads it.
type layouts struct {
	plain, blocked valueID
	fill           *graph.ConstAttr // every element is the same constant
	spread         *spread          // a broadcast of which no step has needed all elements yet
}

// A spread is a broadcast of a smaller value in row-major layout.
type spread struct {
	from valueID
	dims graph.Shape // of from, with leading ones so that the ranks agree
}

// lower lowers a program.
func lower(p *graph.Program, isa kernels.InstructionSet, o backends.Options) (*lowered, error) {
	l := &lowering{
		lowered: lowered{frozen: map[string]int{}, memory: budget{limit: o.MemoryLimit}},
		isa:     isa, pin: o.Pin,
		fused: map[int]lowerFn{}, skipped: map[int]bool{},
	}
	p, err := l.freeze(p, o.Const)
	if err != nil {
		return nil, err
	}
	l.program = p
	l.users, l.maker, l.kept = make([][]int, len(p.Types)), make([]int, len(p.Types)), make([]bool, len(p.Types))
	l.layouts = make([]layouts, len(p.Types))
	for k, i := range p.Code {
		for _, x := range i.In {
			l.users[x] = append(l.users[x], k)
		}
		for _, x := range i.Out {
			l.maker[x] = k
			l.layouts[x] = layouts{plain: none, blocked: none}
		}
	}
	for _, o := range p.Outputs {
		l.kept[o.ID] = true
	}
	for _, u := range p.Updates {
		l.kept[u.ID] = true
	}
	l.fuse()
	for k, i := range p.Code {
		if l.skipped[k] {
			continue
		}
		low := l.fused[k]
		if low == nil {
			low = table[i.Op]
		}
		if err := low(l, i); err != nil {
			return nil, fmt.Errorf("instruction %d, %s: %w", k, i.Op, err)
		}
	}
	for _, o := range p.Outputs {
		l.outputs = append(l.outputs, l.plainOf(o.ID))
	}
	l.placeUpdates()
	l.mergeTapes()
	l.dropConsts()
	return &l.lowered, nil
}

// freeze decodes the constants of p and folds its batch norms into them. It returns the program
// that is left.
func (l *lowering) freeze(p *graph.Program, values map[string]array.Value) (*graph.Program, error) {
	decoded := map[string]array.Value{}
	for _, s := range p.Slots {
		v, ok := values[s.Name]
		if !ok {
			continue
		}
		if dims, _ := s.Shape.Dims(); v.DType != s.DType || !slices.Equal(v.Dims, dims) {
			return nil, fmt.Errorf("constant %q: want %v, got %v%v", s.Name, s.Type, v.DType, v.Dims)
		}
		what := described(fmt.Sprintf("constant %q", s.Name), v.DType, v.Dims)
		if err := l.memory.take(int64(v.DType.Bytes(v.Len())), what); err != nil {
			return nil, err
		}
		t, err := decode(v)
		if err != nil {
			return nil, fmt.Errorf("constant %q: %w", s.Name, err)
		}
		decoded[s.Name] = array.DenseValue(t)
	}
	for _, u := range p.Updates {
		if _, ok := decoded[u.Slot]; ok {
			return nil, fmt.Errorf("slot %q is constant and cannot be updated; leave it out of Options.Const", u.Slot)
		}
	}
	p, folded, err := p.FoldBatchNorm(decoded)
	if err != nil {
		return nil, err
	}
	for _, s := range p.Slots {
		if v, ok := folded[s.Name]; ok {
			l.frozen[s.Name] = len(l.consts)
			l.consts = append(l.consts, array.Tensor{DType: v.DType, Dims: v.Dims, Data: v.Values})
		}
	}
	return p, nil
}

// frozenOf returns the elements of a constant slot, or of a reshape of one.
func (l *lowering) frozenOf(id graph.ID) ([]float32, bool) {
	switch i := l.program.Code[l.maker[id]]; i.Op {
	case graph.OpReshape:
		return l.frozenOf(i.In[0])
	case graph.OpSlot:
		if k, ok := l.frozen[i.Attr.(graph.SourceAttr).Name]; ok {
			return l.consts[k].F32(), true
		}
	}
	return nil, false
}

// pack adds a constant of n floats, weights in the layout of a kernel. fill computes them.
func (l *lowering) pack(name string, n int, fill func(packed []float32)) (valueID, error) {
	if err := l.memory.take(4*int64(n), fmt.Sprintf("packed weights of %s, %d bytes", name, 4*n)); err != nil {
		return none, err
	}
	data := kernels.Floats(n)
	fill(data)
	v := l.own(graph.Type{DType: array.F32, Shape: graph.Of(len(data))}, plain)
	l.values[v].home = home{inConstant, len(l.consts)}
	l.consts = append(l.consts, array.Tensor{DType: array.F32, Dims: []int{len(data)}, Data: bytesOf(data)})
	return v, nil
}

// dropConsts drops the constants that no step reads, because it reads them packed.
func (l *lowering) dropConsts() {
	used := make([]bool, len(l.consts))
	mark := func(vs []valueID) {
		for _, v := range vs {
			if h := l.values[l.root(v)].home; h.kind == inConstant {
				used[h.index] = true
			}
		}
	}
	for _, s := range l.steps {
		mark(s.in)
	}
	mark(l.outputs)
	for k := range l.consts {
		if !used[k] {
			l.memory.give(int64(len(l.consts[k].Data)))
			l.consts[k] = array.Tensor{}
		}
	}
}

// placeUpdates makes the steps that compute updates write to the next values of the slots, where
// these values have memory of their own.
func (l *lowering) placeUpdates() {
	for k, u := range l.program.Updates {
		id := l.plainOf(u.ID)
		v := &l.values[id]
		if v.alias != none || v.home.kind != inArena || slices.Contains(l.outputs, id) {
			to := l.own(v.typ, plain)
			l.emit("update "+u.Slot, copyAll{}, []valueID{id}, []valueID{to})
			id, v = to, &l.values[to]
		}
		v.home = home{inUpdate, k}
		l.nameUpdate(id, u.Slot)
		l.updates = append(l.updates, id)
	}
}

// nameUpdate gives the tape that computes the next value of a slot the name of the slot.
func (l *lowering) nameUpdate(id valueID, slot string) {
	for _, s := range l.steps {
		if _, ok := s.op.(*tape); ok && s.out[0] == id {
			s.name = "update " + slot
		}
	}
}

// own adds a value with memory of its own.
func (l *lowering) own(t graph.Type, lay layout) valueID {
	l.values = append(l.values, value{typ: t, layout: lay, alias: none})
	return valueID(len(l.values) - 1)
}

// view adds a value that shares the memory of another.
func (l *lowering) view(of valueID, t graph.Type, lay layout) valueID {
	l.values = append(l.values, value{typ: t, layout: lay, alias: of})
	return valueID(len(l.values) - 1)
}

// emit adds a step.
func (l *lowering) emit(name string, op operator, in, out []valueID) {
	l.steps = append(l.steps, &step{name: name, op: op, in: in, out: out})
}

// define adds the value of a result, in one layout, and returns it.
func (l *lowering) define(id graph.ID, lay layout) valueID {
	v := l.own(l.program.Types[id], lay)
	if lay == blocked {
		l.layouts[id].blocked = v
	} else {
		l.layouts[id].plain = v
	}
	return v
}

// plainOf returns a value of the program in row-major layout. It adds a step for it if needed.
func (l *lowering) plainOf(id graph.ID) valueID {
	f := &l.layouts[id]
	if f.plain != none {
		return f.plain
	}
	t := l.program.Types[id]
	switch {
	case f.fill != nil:
		f.plain = l.own(t, plain)
		l.emit("const", constant{f.fill.Value}, nil, []valueID{f.plain})
	case f.spread != nil:
		f.plain = l.own(t, plain)
		l.emit("broadcast", broadcast{dims: f.spread.dims}, []valueID{f.spread.from}, []valueID{f.plain})
	case sameInBoth(t):
		f.plain = l.view(f.blocked, t, plain)
	default:
		f.plain = l.own(t, plain)
		l.emit("reorder to rows", toPlain{}, []valueID{f.blocked}, []valueID{f.plain})
	}
	return f.plain
}

// blockedOf returns a value of rank 2 or more in blocks of 16 channels. It adds a step for it if
// needed.
func (l *lowering) blockedOf(id graph.ID) valueID {
	f := &l.layouts[id]
	if f.blocked != none {
		return f.blocked
	}
	t := l.program.Types[id]
	if f.spread != nil && f.plain == none && perLane(f.spread.dims) {
		f.blocked = l.own(t, blocked)
		l.emit("broadcast", broadcast{dims: f.spread.dims}, []valueID{f.spread.from}, []valueID{f.blocked})
		return f.blocked
	}
	from := l.plainOf(id)
	if sameInBoth(t) {
		f.blocked = l.view(from, t, blocked)
	} else {
		f.blocked = l.own(t, blocked)
		l.emit("reorder to blocks", toBlocked{}, []valueID{from}, []valueID{f.blocked})
	}
	return f.blocked
}

// plainAll is plainOf for several values.
func (l *lowering) plainAll(ids []graph.ID) []valueID {
	vs := make([]valueID, len(ids))
	for i, id := range ids {
		vs[i] = l.plainOf(id)
	}
	return vs
}

// sameInBoth reports whether both layouts of a type are the same bytes: whole blocks of one pixel.
func sameInBoth(t graph.Type) bool {
	return len(t.Shape) >= 2 && t.Shape[1].Fixed() && t.Shape[1].C%kernels.Block == 0 && t.Shape[2:].Size() == graph.Dim{C: 1}
}

// perLane reports whether the source of a broadcast varies over images and channels only.
func perLane(dims graph.Shape) bool { return len(dims) >= 2 && dims[2:].Size() == graph.Dim{C: 1} }

// blockable reports whether a type has a blocked layout.
func blockable(t graph.Type) bool {
	return t.DType == array.F32 && len(t.Shape) >= 2 && t.Shape[1].Fixed()
}

// isBlocked reports whether a value has blocks and no rows yet.
func (l *lowering) isBlocked(id graph.ID) bool {
	return l.layouts[id].blocked != none && (l.layouts[id].plain == none || !sameInBoth(l.program.Types[id]))
}

// onlyUser returns the only instruction that reads id. It returns false for an output or an update.
func (l *lowering) onlyUser(id graph.ID) (int, bool) {
	if len(l.users[id]) != 1 || l.kept[id] {
		return 0, false
	}
	return l.users[id][0], true
}

// nameOf returns the slot of a weight, found through masks and casts, or the number of the value.
func (l *lowering) nameOf(id graph.ID) string {
	for at := id; ; {
		i := l.program.Code[l.maker[at]]
		switch i.Op {
		case graph.OpSlot:
			return i.Attr.(graph.SourceAttr).Name
		case graph.OpMask, graph.OpReshape, graph.OpTranspose, graph.OpAdd, graph.OpCast:
			at = i.In[0]
		default:
			return fmt.Sprintf("%%%d", id)
		}
	}
}

// choose adds a choice of kernel to the plan: the pinned kernel, or else the first of those
// available.
func (l *lowering) choose(name string, available ...string) (string, error) {
	chosen := available[0]
	if l.pin != nil {
		if pinned, ok := l.pin.Kernel(name); ok {
			if !slices.Contains(available, pinned) {
				return "", fmt.Errorf("the plan pins %q to kernel %q; available: %v", name, pinned, available)
			}
			chosen = pinned
		}
	}
	if !l.has(name) {
		l.choices = append(l.choices, backends.Choice{Name: name, Kernel: chosen})
	}
	return chosen, nil
}

// has reports whether a choice of that name was made.
func (l *lowered) has(choice string) bool {
	return slices.ContainsFunc(l.choices, func(c backends.Choice) bool { return c.Name == choice })
}
