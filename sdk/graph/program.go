package graph

import (
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// An ID identifies a value of a program. It is an index of Program.Types.
type ID int32

// A Type is the element type and the shape of a value.
type Type struct {
	DType array.DType
	Shape Shape
}

func (t Type) String() string { return t.DType.String() + t.Shape.String() }

// Equal reports whether both types are the same.
func (t Type) Equal(u Type) bool { return t.DType == u.DType && t.Shape.Equal(u.Shape) }

// An Instr computes the values Out from the values In.
type Instr struct {
	Op   Op
	Attr Attr // nil, or the attribute struct of the op's row in the table
	In   []ID
	Out  []ID
}

// A SlotKind is what a slot is for. It decides what saves the slot: a checkpoint has parameters and
// statistics, a training that can be resumed has optimizer state as well.
type SlotKind uint8

// The kinds of slots.
const (
	Param          SlotKind = iota // a trained weight
	Stat                           // a running statistic of batch normalisation
	OptimizerState                 // state of an optimizer, or a mask that a compressor reuses
	Scratch                        // set and read within one training step, never saved
	numKinds
)

// String returns the name that files store: "param", "stat", "moment" (OptimizerState), "scratch".
func (k SlotKind) String() string {
	if k >= numKinds {
		return fmt.Sprintf("slotkind(%d)", uint8(k))
	}
	return [...]string{"param", "stat", "moment", "scratch"}[k]
}

// A Role is what a parameter is. Compressors and optimizers choose parameters by it.
type Role uint8

// The roles.
const (
	Other     Role = iota // not a parameter, or none of the roles below
	Kernel                // weights of a convolution [O I H W] or a linear layer [O I]
	Embedding             // a table whose rows are looked up
	Norm                  // scale or shift of a normalisation
	Bias                  // a vector that a layer adds
	numRoles
)

// String returns the name that files store: "other", "kernel", "embedding", "norm", "bias".
func (r Role) String() string {
	if r >= numRoles {
		return fmt.Sprintf("role(%d)", uint8(r))
	}
	return [...]string{"other", "kernel", "embedding", "norm", "bias"}[r]
}

// A Slot is a tensor of constant shape that a backend's session keeps between runs.
type Slot struct {
	Name string
	Kind SlotKind
	Role Role
	Type
}

// A Port is an input of a program, which a run is fed, or an output, which a run returns.
type Port struct {
	Name string
	ID   ID
}

// An Update writes a value to a slot at the end of a run.
type Update struct {
	Slot string
	ID   ID
}

// A Program is a sequence of instructions without control flow. A run is fed the inputs, reads the
// slots, returns the outputs, and writes all updates together at its end: a run that fails changes
// no slot.
type Program struct {
	Code    []Instr
	Types   []Type // by ID
	Inputs  []Port
	Slots   []Slot
	Outputs []Port
	Updates []Update
}

// Slot returns the declaration of the named slot.
func (p *Program) Slot(name string) (Slot, bool) {
	for _, s := range p.Slots {
		if s.Name == name {
			return s, true
		}
	}
	return Slot{}, false
}

// Bind checks the tensors that a run is fed, one for each input in order, and returns the sizes of
// the program's symbols.
func (p *Program) Bind(in []array.Tensor) (Sizes, error) {
	if len(in) != len(p.Inputs) {
		return nil, fmt.Errorf("graph: want a tensor for each of the %d inputs %v, got %d", len(p.Inputs), p.Inputs, len(in))
	}
	sizes := Sizes{}
	for i, t := range in {
		want := p.Types[p.Inputs[i].ID]
		if err := t.Check(); err != nil {
			return nil, fmt.Errorf("input %q: %w", p.Inputs[i].Name, err)
		}
		if t.DType != want.DType {
			return nil, fmt.Errorf("graph: input %q: want %v, got %v", p.Inputs[i].Name, want.DType, t.DType)
		}
		if err := want.Shape.match(t.Dims, sizes); err != nil {
			return nil, fmt.Errorf("graph: input %q: %w", p.Inputs[i].Name, err)
		}
	}
	return sizes, nil
}

// BindOutputs returns the tensors for the outputs of a run with these sizes, in order: those of out
// after a check of their types, or new ones if out is nil.
func (p *Program) BindOutputs(sizes Sizes, out []array.Tensor) ([]array.Tensor, error) {
	if out != nil && len(out) != len(p.Outputs) {
		return nil, fmt.Errorf("graph: want a tensor for each of the %d outputs, got %d", len(p.Outputs), len(out))
	}
	ready := make([]array.Tensor, len(p.Outputs))
	for i, o := range p.Outputs {
		t := p.Types[o.ID]
		dims, err := t.Shape.Bind(sizes)
		if err != nil {
			return nil, fmt.Errorf("graph: output %q: %w", o.Name, err)
		}
		if out == nil {
			if ready[i], err = array.New(t.DType, dims...); err != nil {
				return nil, fmt.Errorf("graph: output %q: %w", o.Name, err)
			}
			continue
		}
		if err := out[i].Check(); err != nil {
			return nil, fmt.Errorf("graph: output %q: %w", o.Name, err)
		}
		if out[i].DType != t.DType || !slices.Equal(out[i].Dims, dims) {
			return nil, fmt.Errorf("graph: output %q: want a tensor %v%v, got %v%v", o.Name, t.DType, dims, out[i].DType, out[i].Dims)
		}
		ready[i] = out[i]
	}
	return ready, nil
}

// Count returns how many instructions have the given op.
func (p *Program) Count(op Op) int {
	n := 0
	for _, i := range p.Code {
		if i.Op == op {
			n++
		}
	}
	return n
}
