package cpu

import (
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/graph"
)

// mergeTapes joins a tape with the tapes that compute its operands, if only tapes are between them.
// An update of the weights becomes one pass over memory.
func (l *lowering) mergeTapes() {
	for k, s := range l.steps {
		if t, ok := s.op.(*tape); ok {
			for l.mergeOne(t, k) {
			}
		}
	}
	l.steps = slices.DeleteFunc(l.steps, func(s *step) bool { return s == nil })
}

// mergeOne joins the k-th step, a tape, with one that computes an operand of it.
func (l *lowering) mergeOne(t *tape, k int) bool {
	for _, a := range t.args {
		if a.kind != argFull {
			continue
		}
		for j := k - 1; j >= 0; j-- {
			s := l.steps[j]
			if s == nil {
				continue
			}
			earlier, ok := s.op.(*tape)
			if !ok {
				break
			}
			if !slices.Contains(s.out, a.in) {
				continue
			}
			if l.mergeable(earlier, j, t, k) {
				l.join(earlier, j, t, k)
				return true
			}
			break
		}
	}
	return false
}

// mergeable reports whether the j-th step, a tape, may be computed at the k-th.
func (l *lowering) mergeable(s *tape, j int, t *tape, k int) bool {
	if s.layout != t.layout || len(s.code)+len(t.code) > maxTapeOps || len(s.args)+len(t.args) > maxTapeArgs {
		return false
	}
	outs := l.steps[j].out
	if !l.values[outs[0]].typ.Shape.Equal(l.values[l.steps[k].out[0]].typ.Shape) {
		return false
	}
	for _, between := range l.steps[j+1 : k] {
		if between != nil && l.reads(between, outs) {
			return false
		}
	}
	for _, a := range t.args { // an arg that does not read element by element
		if a.kind != argConstant && slices.Contains(outs, l.root(a.in)) && !(a.kind == argFull && slices.Contains(outs, a.in)) {
			return false
		}
	}
	return true
}

// root returns the value whose memory v shares.
func (l *lowered) root(v valueID) valueID {
	for l.values[v].alias != none {
		v = l.values[v].alias
	}
	return v
}

// reads reports whether a step reads the memory of any of vs.
func (l *lowering) reads(s *step, vs []valueID) bool {
	return slices.ContainsFunc(s.in, func(in valueID) bool { return slices.Contains(vs, l.root(in)) })
}

// join puts the j-th step, s, in front of the k-th, t.
func (l *lowering) join(s *tape, j int, t *tape, k int) {
	first, then := l.steps[j], l.steps[k]
	made := map[valueID]int{} // value of first: result in the joined tape
	for n, v := range first.out {
		made[v] = s.outs[n]
	}
	joined := &tape{layout: t.layout}
	for _, a := range s.args {
		joined.add(a)
	}
	for _, a := range t.args {
		if _, ok := made[a.in]; !ok || a.kind != argFull {
			joined.add(a)
		}
	}
	nargs := len(joined.args)
	translate := func(from *tape, base int) func(ref int) int {
		return func(ref int) int {
			if ref >= len(from.args) {
				return ref - len(from.args) + base + nargs
			}
			a := from.args[ref]
			if r, ok := made[a.in]; ok && from == t && a.kind == argFull {
				return nargs + r
			}
			return joined.add(a)
		}
	}
	for n, from := range [2]*tape{s, t} {
		to := translate(from, n*len(s.code))
		for _, op := range from.code {
			op.a = to(op.a)
			if binary(op.op) || op.op == graph.OpMask {
				op.b = to(op.b)
			}
			joined.code = append(joined.code, op)
		}
	}
	outs := slices.Clone(then.out)
	for _, r := range t.outs {
		joined.outs = append(joined.outs, r+len(s.code))
	}
	for _, v := range slices.Sorted(maps.Keys(made)) {
		if l.needed(v, j, k) {
			outs = append(outs, v)
			joined.outs = append(joined.outs, made[v])
		}
	}
	*t = *joined
	l.steps[k] = &step{name: then.name, op: t, in: t.ins(), out: outs}
	l.steps[j] = nil
}

// needed reports whether v, a result of the j-th step, is an output, an update or an operand of a
// step other than the k-th.
func (l *lowering) needed(v valueID, j, k int) bool {
	for at, s := range l.steps {
		if at > j && at != k && s != nil && l.reads(s, []valueID{v}) {
			return true
		}
	}
	is := func(x valueID) bool { return l.root(x) == v }
	return slices.ContainsFunc(l.outputs, is) || slices.ContainsFunc(l.updates, is)
}
