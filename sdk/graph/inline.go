package graph

// Inline appends the instructions of p to b and returns the outputs of p, in order, and the values
// of its updates by slot name. It declares no output and no update of b.
//
// inputs has a node for each input of p, in order. slot is called once for each slot of p, in the
// order of its code, and returns the node to read instead; nil declares the slot in b. The nodes
// have the types that p declares, symbols included. The streams of uniform are those of p, so p
// needs a key that b does not use elsewhere.
//
// After a mistake, recorded with [Builder.Fail], the results are nodes of b without a meaning.
func (b *Builder) Inline(p *Program, inputs []Node, slot func(Slot) Node) (outputs []Node, updates map[string]Node) {
	outputs, updates = make([]Node, len(p.Outputs)), make(map[string]Node, len(p.Updates))
	for k := range outputs {
		outputs[k] = Node{b, 0}
	}
	for _, u := range p.Updates {
		updates[u.Slot] = Node{b, 0}
	}
	if b.err != nil {
		return outputs, updates
	}
	if err := p.verify(); err != nil {
		b.Fail("graph: inline: %w", err)
		return outputs, updates
	}
	if len(inputs) != len(p.Inputs) {
		b.Fail("graph: inline: want a node for each of the %d inputs, got %d", len(p.Inputs), len(inputs))
		return outputs, updates
	}
	if slot == nil {
		slot = b.Slot
	}
	values := make([]Node, len(p.Types)) // by ID in p
	for k, in := range p.Inputs {
		values[in.ID] = inputs[k]
	}
	b.replay(p, values, func(i Instr) []Node {
		a, ok := i.Attr.(SourceAttr)
		if !ok {
			return nil
		}
		n := values[i.Out[0]] // of an input
		if i.Op == OpSlot {
			s, _ := p.Slot(a.Name)
			n = slot(s)
		}
		b.inlined(i, a, n)
		return []Node{n}
	})
	if b.err != nil {
		return outputs, updates
	}
	for k, o := range p.Outputs {
		outputs[k] = values[o.ID]
	}
	for _, u := range p.Updates {
		updates[u.Slot] = values[u.ID]
	}
	return outputs, updates
}

// inlined fails unless n can be read in place of the input or slot i of an inlined program.
func (b *Builder) inlined(i Instr, a SourceAttr, n Node) {
	what := "inline: " + string(i.Op) + " " + a.Name
	want := Type{a.DType, a.Shape}
	if b.owns(what, n) && !b.Type(n).Equal(want) {
		b.Fail("graph: %s: want %v, got %v", what, want, b.Type(n))
	}
}
