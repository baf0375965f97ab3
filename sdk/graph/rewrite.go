package graph

import "slices"

// A pattern describes an instruction and, through its operands, those before it.
type pattern struct {
	name  string // under which a match gives the value; "": under none
	op    Op     // "": any value matches, whatever computes it
	alone bool   // one instruction reads the value, and it is neither an output nor an update
	in    []pattern
}

// A match gives the named values of a pattern, by their IDs in the program that is rewritten.
type match map[string]ID

// A rule replaces the instructions that its pattern matches. replace returns a node of the new
// program for each result; nil leaves the instruction as it is.
type rule struct {
	pattern
	replace func(r *rewriter, i Instr, m match) []Node
}

// A rewriter builds a new program from p. Patterns are matched in p, so that a rule does not see
// what another has replaced. What the new program does not read is removed at the end.
type rewriter struct {
	*Builder
	p       *Program
	maker   []int  // by ID in p: the instruction that computes the value
	readers []int  // by ID in p: how many instructions, outputs and updates read it
	values  []Node // by ID in p: the value in the new program
}

// rewrite returns the program that the rules make of p. The first rule that replaces an instruction
// wins. Inputs, outputs, updates and slots keep their order; slots that a rule adds follow.
func (p *Program) rewrite(rules ...rule) (*Program, error) {
	if err := p.Verify(); err != nil {
		return nil, err
	}
	n := len(p.Types)
	r := &rewriter{&Builder{}, p, make([]int, n), make([]int, n), nil}
	for k, i := range p.Code {
		for _, x := range i.Out {
			r.maker[x] = k
		}
		for _, x := range i.In {
			r.readers[x]++
		}
	}
	for _, o := range p.Outputs {
		r.readers[o.ID]++
	}
	for _, u := range p.Updates {
		r.readers[u.ID]++
	}
	r.values = make([]Node, n)
	r.replay(p, r.values, func(i Instr) []Node {
		for _, rule := range rules {
			m := match{}
			if !r.matches(rule.pattern, i.Out[0], m) {
				continue
			}
			if out := rule.replace(r, i, m); out != nil {
				return out
			}
		}
		return nil
	})
	if r.err != nil {
		return nil, r.err
	}
	return r.finish()
}

// replay appends the code of p to b and puts each value of p into values. replace may return the
// results of an instruction; where it returns nil, the instruction itself is appended.
func (b *Builder) replay(p *Program, values []Node, replace func(Instr) []Node) {
	for _, i := range p.Code {
		if b.err != nil {
			return
		}
		out := replace(i)
		if out == nil {
			out = b.emit(i.Op, i.Attr, at(values, i.In)...)
		}
		for k, x := range i.Out {
			values[x] = out[k]
		}
	}
}

func at(values []Node, ids []ID) []Node {
	nodes := make([]Node, len(ids))
	for k, x := range ids {
		nodes[k] = values[x]
	}
	return nodes
}

// matches reports whether the value id of r.p fits a pattern, and adds the names of it to m.
func (r *rewriter) matches(want pattern, id ID, m match) bool {
	if want.name != "" {
		m[want.name] = id
	}
	if want.op == "" {
		return true
	}
	i := r.p.Code[r.maker[id]]
	if i.Op != want.op || want.alone && r.readers[id] != 1 || len(i.In) < len(want.in) {
		return false
	}
	for k, in := range want.in {
		if !r.matches(in, i.In[k], m) {
			return false
		}
	}
	return true
}

// finish returns the new program, with the edges of the old one.
func (r *rewriter) finish() (*Program, error) {
	q := &r.Builder.p
	types := map[string]Type{} // of the slots
	for _, i := range q.Code {
		if i.Op == OpSlot {
			types[i.Attr.(SourceAttr).Name] = q.Types[i.Out[0]]
		}
	}
	slots := slices.Clone(r.p.Slots)
	for k := range slots {
		slots[k].Type = types[slots[k].Name]
	}
	q.Slots = append(slots, q.Slots...)
	for _, in := range r.p.Inputs {
		q.Inputs = append(q.Inputs, Port{in.Name, r.values[in.ID].id})
	}
	for _, o := range r.p.Outputs {
		q.Outputs = append(q.Outputs, Port{o.Name, r.values[o.ID].id})
	}
	for _, u := range r.p.Updates {
		q.Updates = append(q.Updates, Update{u.Slot, r.values[u.ID].id})
	}
	q.prune()
	return q, q.Verify()
}

// live reports for each instruction of p whether it must run: an input, the slot of an update, or
// one whose result is an output, an update or an operand of a live instruction.
func (p *Program) live() []bool {
	read := make([]bool, len(p.Types))
	for _, o := range p.Outputs {
		read[o.ID] = true
	}
	updated := map[string]bool{}
	for _, u := range p.Updates {
		read[u.ID] = true
		updated[u.Slot] = true
	}
	live := make([]bool, len(p.Code))
	for k, i := range slices.Backward(p.Code) {
		live[k] = i.Op == OpInput || i.Op == OpSlot && updated[i.Attr.(SourceAttr).Name] ||
			slices.ContainsFunc(i.Out, func(x ID) bool { return read[x] })
		if live[k] {
			for _, x := range i.In {
				read[x] = true
			}
		}
	}
	return live
}

// prune removes instructions that need not run and slots that no instruction reads, and numbers the
// values again. All inputs remain.
func (p *Program) prune() {
	old, live := *p, p.live()
	*p = Program{}
	ids := make([]ID, len(old.Types)) // by old ID
	slots := map[string]bool{}
	for k, i := range old.Code {
		if !live[k] {
			continue
		}
		n := Instr{Op: i.Op, Attr: i.Attr}
		for _, x := range i.In {
			n.In = append(n.In, ids[x])
		}
		for _, x := range i.Out {
			ids[x] = ID(len(p.Types))
			p.Types = append(p.Types, old.Types[x])
			n.Out = append(n.Out, ids[x])
		}
		if i.Op == OpSlot {
			slots[i.Attr.(SourceAttr).Name] = true
		}
		p.Code = append(p.Code, n)
	}
	for _, s := range old.Slots {
		if slots[s.Name] {
			p.Slots = append(p.Slots, s)
		}
	}
	for _, x := range old.Inputs {
		p.Inputs = append(p.Inputs, Port{x.Name, ids[x.ID]})
	}
	for _, x := range old.Outputs {
		p.Outputs = append(p.Outputs, Port{x.Name, ids[x.ID]})
	}
	for _, x := range old.Updates {
		p.Updates = append(p.Updates, Update{x.Slot, ids[x.ID]})
	}
}
