package graph

import (
	"errors"
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// An ID names one value of a program, an index into Program.Types.
type ID int32

// A Type is what is known of a value before a run: element type and shape.
type Type struct {
	DType array.DType
	Shape Shape
}

func (t Type) String() string { return t.DType.String() + t.Shape.String() }

// Equal reports whether both types are the same.
func (t Type) Equal(u Type) bool { return t.DType == u.DType && t.Shape.Equal(u.Shape) }

// An Instr computes the values Out from the values In. Attr is nil or the attribute struct of the op's row in the table.
type Instr struct {
	Op   Op
	Attr Attr
	In   []ID
	Out  []ID
}

// A SlotKind says what a slot is for, and with it who saves it.
type SlotKind uint8

// The kinds of slots.
const (
	Param          SlotKind = iota // a trained weight
	Stat                           // a running statistic of batch normalisation
	OptimizerState                 // state of an update rule or of a compressor's reused masks
	Scratch                        // lives between the segments of one step, never saved
	numKinds
)

func (k SlotKind) String() string {
	if k >= numKinds {
		return fmt.Sprintf("slotkind(%d)", uint8(k))
	}
	return [...]string{"param", "stat", "moment", "scratch"}[k]
}

// A Role says what a parameter is, so that compressors and rules need not guess from rank or order.
type Role uint8

// The roles.
const (
	Other     Role = iota // not a parameter, or none of the below
	Kernel                // weights of a convolution [O I H W] or a linear layer [O I]
	Embedding             // rows that are looked up
	Norm                  // scale or shift of a normalisation
	Bias
	numRoles
)

func (r Role) String() string {
	if r >= numRoles {
		return fmt.Sprintf("role(%d)", uint8(r))
	}
	return [...]string{"other", "kernel", "embedding", "norm", "bias"}[r]
}

// A Slot is a tensor that lives in a session between runs. Its shape is constant.
type Slot struct {
	Name string
	Kind SlotKind
	Role Role
	Type
}

// A Port is a named value at the edge of a program: an input to feed or an output to fetch.
type Port struct {
	Name string
	ID   ID
}

// An Update writes a value to a slot once everything else of the run is done.
type Update struct {
	Slot string
	ID   ID
}

// A Program is a straight line of instructions. Inputs are fed each run, slots are read, outputs are returned
// and updates are written last, all together: a run that fails changes no slot. A nil Program has nothing in it and passes no check.
type Program struct {
	Code    []Instr
	Types   []Type // by ID
	Inputs  []Port
	Slots   []Slot
	Outputs []Port
	Updates []Update
}

var errNoProgram = errors.New("graph: the Program is nil; make one with a Builder, or Decode")

// Slot returns the declaration of the named slot.
func (p *Program) Slot(name string) (Slot, bool) {
	if p == nil {
		return Slot{}, false
	}
	for _, s := range p.Slots {
		if s.Name == name {
			return s, true
		}
	}
	return Slot{}, false
}

// Bind checks the tensors fed to the inputs, in order, and solves the symbols of the program from them.
func (p *Program) Bind(in []array.Tensor) (Sizes, error) {
	if p == nil {
		return nil, errNoProgram
	}
	if len(in) != len(p.Inputs) {
		return nil, fmt.Errorf("graph: program has %d inputs %v, got %d tensors", len(p.Inputs), p.Inputs, len(in))
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

// BindOutputs returns the tensors that a run with these sizes puts its outputs in: the caller's out, checked, or new ones where out is nil.
func (p *Program) BindOutputs(sizes Sizes, out []array.Tensor) ([]array.Tensor, error) {
	if p == nil {
		return nil, errNoProgram
	}
	if out != nil && len(out) != len(p.Outputs) {
		return nil, fmt.Errorf("graph: program has %d outputs, got %d tensors to put them in", len(p.Outputs), len(out))
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
	if p == nil {
		return 0
	}
	n := 0
	for _, i := range p.Code {
		if i.Op == op {
			n++
		}
	}
	return n
}
