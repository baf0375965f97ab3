package graph

// A gradRule returns the gradient of each operand; none for an operand without one. d has the
// gradients of the results; none where the loss does not depend on a result.
type gradRule func(b *Builder, i Instr, in, out, d []Node) []Node

// Grad appends the gradient of loss, a float scalar, with respect to each of wrt, by reverse-mode
// differentiation. wrt may be any nodes of b. For one that loss does not depend on the gradient is
// zeros.
func (b *Builder) Grad(loss Node, wrt ...Node) []Node {
	out := make([]Node, len(wrt))
	for i := range out {
		out[i] = Node{b, 0}
	}
	if !b.owns("gradient", loss) {
		return out
	}
	for _, w := range wrt {
		if !b.owns("gradient", w) {
			return out
		}
	}
	if t := b.Type(loss); !t.DType.Float() || len(t.Shape) != 0 {
		b.Fail("graph: gradient of %v: want a float scalar; reduce with Mean or Sum", t)
		return out
	}
	code := b.p.Code
	needs := b.reaches(wrt)
	grads := map[ID]Node{loss.id: b.ConstLike(loss, 1)}
	for k := len(code) - 1; k >= 0 && b.err == nil; k-- {
		i := code[k]
		flows, wanted := false, false
		d := make([]Node, len(i.Out))
		for j, o := range i.Out {
			d[j] = grads[o]
			flows = flows || !d[j].None()
		}
		for _, x := range i.In {
			wanted = wanted || needs[x]
		}
		if !flows || !wanted {
			continue
		}
		def := table[i.Op]
		if def.grad == nil {
			b.Fail("graph: %s has no gradient rule", i.Op)
			return out
		}
		for j, g := range def.grad(b, i, b.nodes(i.In), b.nodes(i.Out), d) {
			x := i.In[j]
			if g.None() || !needs[x] {
				continue
			}
			if old, ok := grads[x]; ok {
				g = b.Add(old, g)
			}
			grads[x] = g
		}
	}
	for i, w := range wrt {
		if g, ok := grads[w.id]; ok {
			out[i] = g
		} else {
			out[i] = b.ConstLike(w, 0)
		}
	}
	return out
}

func (b *Builder) nodes(ids []ID) []Node {
	ns := make([]Node, len(ids))
	for i, id := range ids {
		ns[i] = Node{b, id}
	}
	return ns
}

// reaches reports for each value whether it is one of wrt or depends on one.
func (b *Builder) reaches(wrt []Node) []bool {
	needs := make([]bool, len(b.p.Types))
	for _, w := range wrt {
		needs[w.id] = true
	}
	for _, i := range b.p.Code {
		dep := false
		for _, x := range i.In {
			dep = dep || needs[x]
		}
		for _, o := range i.Out {
			needs[o] = needs[o] || dep
		}
	}
	return needs
}
