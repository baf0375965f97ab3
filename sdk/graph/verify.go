package graph

import "fmt"

// Verify checks everything a backend relies on: known ops with their attributes and arity, operands defined before use,
// types as the shape rules give them, unique names, updates of declared slots with their type.
func (p *Program) Verify() error {
	if p == nil {
		return errNoProgram
	}
	next := ID(0)
	inputs, slots := map[string]ID{}, map[string]ID{}
	for k, i := range p.Code {
		if err := p.verifyInstr(i, next); err != nil {
			return fmt.Errorf("graph: instruction %d: %w", k, err)
		}
		next += ID(len(i.Out))
		if s, ok := i.Attr.(SourceAttr); ok {
			seen := inputs
			if i.Op == OpSlot {
				seen = slots
			}
			if _, dup := seen[s.Name]; dup || s.Name == "" {
				return fmt.Errorf("graph: instruction %d: %s %q is empty or declared twice", k, i.Op, s.Name)
			}
			seen[s.Name] = i.Out[0]
		}
	}
	if int(next) != len(p.Types) {
		return fmt.Errorf("graph: %d values have types, %d are computed", len(p.Types), next)
	}
	if len(p.Inputs) != len(inputs) || len(p.Slots) != len(slots) {
		return fmt.Errorf("graph: %d inputs and %d slots declared, %d and %d in the code", len(p.Inputs), len(p.Slots), len(inputs), len(slots))
	}
	for _, in := range p.Inputs {
		if id, ok := inputs[in.Name]; !ok || id != in.ID {
			return fmt.Errorf("graph: input %q is not in the code, or declared twice", in.Name)
		}
		delete(inputs, in.Name)
	}
	declared := map[string]bool{}
	for _, s := range p.Slots {
		id, ok := slots[s.Name]
		if !ok || declared[s.Name] || !p.Types[id].Equal(s.Type) || s.Kind >= numKinds || s.Role >= numRoles {
			return fmt.Errorf("graph: slot %q (%v %v %v) is not in the code, or declared twice", s.Name, s.Kind, s.Role, s.Type)
		}
		declared[s.Name] = true
		if _, fixed := s.Shape.Dims(); !fixed {
			return fmt.Errorf("graph: slot %q: shape %v must be constant", s.Name, s.Shape)
		}
	}
	outputs, updates := map[string]bool{}, map[string]bool{}
	for _, o := range p.Outputs {
		if o.Name == "" || outputs[o.Name] || o.ID < 0 || o.ID >= next {
			return fmt.Errorf("graph: output %q is empty, repeated or undefined", o.Name)
		}
		outputs[o.Name] = true
	}
	for _, u := range p.Updates {
		id, ok := slots[u.Slot]
		if !ok || updates[u.Slot] || u.ID < 0 || u.ID >= next || !p.Types[u.ID].Equal(p.Types[id]) {
			return fmt.Errorf("graph: update of slot %q is undeclared, repeated or of another type", u.Slot)
		}
		updates[u.Slot] = true
	}
	return nil
}

func (p *Program) verifyInstr(i Instr, next ID) error {
	def, ok := table[i.Op]
	if !ok {
		return fmt.Errorf("unknown op %q", i.Op)
	}
	types := make([]Type, len(i.In))
	for j, x := range i.In {
		if x < 0 || x >= next {
			return fmt.Errorf("%s operand %d is not defined before use", i.Op, j)
		}
		types[j] = p.Types[x]
	}
	want, err := def.Infer(types, i.Attr)
	if err != nil {
		return fmt.Errorf("%s%v: %w", i.Op, listed(types), err)
	}
	if len(want) != len(i.Out) {
		return fmt.Errorf("%s has %d results, got %d", i.Op, len(want), len(i.Out))
	}
	for j, o := range i.Out {
		if o != next+ID(j) || int(o) >= len(p.Types) || !p.Types[o].Equal(want[j]) {
			return fmt.Errorf("%s result %d: want value %d of type %v", i.Op, j, next+ID(j), want[j])
		}
	}
	return nil
}

// listed returns the types of operands for an error, the first of many.
func listed(types []Type) string {
	const most = 4
	if len(types) <= most {
		return fmt.Sprint(types)
	}
	return fmt.Sprintf("%v and %d more", types[:most], len(types)-most)
}
