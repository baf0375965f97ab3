package graph

import "fmt"

// Verify checks all that a backend relies on: each op is in the table, with the attribute, the
// operands and the result types that its shape rule wants; operands are computed before they are
// read; names are unique; an update is of a declared slot and of its type.
func (p *Program) Verify() error {
	if err := p.verify(); err != nil {
		return fmt.Errorf("graph: %w", err)
	}
	return nil
}

func (p *Program) verify() error {
	v := verifier{Program: p, inputs: map[string]ID{}, slots: map[string]ID{}}
	for _, check := range []func() error{v.code, v.sources, v.results} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// A verifier checks a program part by part.
type verifier struct {
	*Program
	next          ID            // the number of values computed so far
	inputs, slots map[string]ID // declared by the code
}

func (v *verifier) code() error {
	for k, i := range v.Code {
		if err := v.instr(i); err != nil {
			return fmt.Errorf("instruction %d: %w", k, err)
		}
		v.next += ID(len(i.Out))
		s, ok := i.Attr.(SourceAttr)
		if !ok {
			continue
		}
		seen := v.inputs
		if i.Op == OpSlot {
			seen = v.slots
		}
		if _, dup := seen[s.Name]; dup || s.Name == "" {
			return fmt.Errorf("instruction %d: %s %q is empty or declared twice", k, i.Op, s.Name)
		}
		seen[s.Name] = i.Out[0]
	}
	if int(v.next) != len(v.Types) {
		return fmt.Errorf("%d values have types, %d are computed", len(v.Types), v.next)
	}
	return nil
}

func (v *verifier) instr(i Instr) error {
	def, ok := table[i.Op]
	if !ok {
		return fmt.Errorf("unknown op %q", i.Op)
	}
	types := make([]Type, len(i.In))
	for j, x := range i.In {
		if x < 0 || x >= v.next {
			return fmt.Errorf("%s operand %d is not defined before use", i.Op, j)
		}
		types[j] = v.Types[x]
	}
	want, err := def.Infer(types, i.Attr)
	if err != nil {
		return fmt.Errorf("%s%v: %w", i.Op, listed(types), err)
	}
	if len(want) != len(i.Out) {
		return fmt.Errorf("%s has %d results, got %d", i.Op, len(want), len(i.Out))
	}
	for j, o := range i.Out {
		if o != v.next+ID(j) || int(o) >= len(v.Types) || !v.Types[o].Equal(want[j]) {
			return fmt.Errorf("%s result %d: want value %d of type %v", i.Op, j, v.next+ID(j), want[j])
		}
	}
	return nil
}

// sources compares the declarations of inputs and slots with the code.
func (v *verifier) sources() error {
	if len(v.Inputs) != len(v.inputs) || len(v.Slots) != len(v.slots) {
		return fmt.Errorf("%d inputs and %d slots declared, %d and %d in the code",
			len(v.Inputs), len(v.Slots), len(v.inputs), len(v.slots))
	}
	inputs := map[string]bool{}
	for _, in := range v.Inputs {
		if id, ok := v.inputs[in.Name]; !ok || inputs[in.Name] || id != in.ID {
			return fmt.Errorf("input %q is not in the code, or declared twice", in.Name)
		}
		inputs[in.Name] = true
	}
	slots := map[string]bool{}
	for _, s := range v.Slots {
		id, ok := v.slots[s.Name]
		if !ok || slots[s.Name] || !v.Types[id].Equal(s.Type) || s.Kind >= numKinds || s.Role >= numRoles {
			return fmt.Errorf("slot %q (%v %v %v) is not in the code, or declared twice", s.Name, s.Kind, s.Role, s.Type)
		}
		slots[s.Name] = true
		if _, fixed := s.Shape.Dims(); !fixed {
			return fmt.Errorf("slot %q: want a constant shape, got %v", s.Name, s.Shape)
		}
	}
	return nil
}

// results checks outputs and updates.
func (v *verifier) results() error {
	outputs, updates := map[string]bool{}, map[string]bool{}
	for _, o := range v.Outputs {
		if o.Name == "" || outputs[o.Name] || o.ID < 0 || o.ID >= v.next {
			return fmt.Errorf("output %q is empty, repeated or undefined", o.Name)
		}
		outputs[o.Name] = true
	}
	for _, u := range v.Updates {
		id, ok := v.slots[u.Slot]
		if !ok || updates[u.Slot] || u.ID < 0 || u.ID >= v.next || !v.Types[u.ID].Equal(v.Types[id]) {
			return fmt.Errorf("update of slot %q is undeclared, repeated or of another type", u.Slot)
		}
		updates[u.Slot] = true
	}
	return nil
}

// listed returns the types of operands for an error; of more than four, the first ones.
func listed(types []Type) string {
	const most = 4
	if len(types) <= most {
		return fmt.Sprint(types)
	}
	return fmt.Sprintf("%v and %d more", types[:most], len(types)-most)
}
