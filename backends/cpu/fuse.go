package cpu

import (
	"slices"

	"github.com/compressaware/cram/sdk/graph"
)

// fuse finds instructions that are one pass over memory together:
//
//	conv2d, add of a bias, relu
//	batch_norm or batch_norm_infer, add, relu
//	relu_grad, batch_norm_grad
//
// A fusion is lowered at its last instruction, that of gradients at its first. The other
// instructions are skipped.
func (l *lowering) fuse() {
	for k, i := range l.program.Code {
		if l.taken(k) {
			continue
		}
		switch i.Op {
		case graph.OpConv2D:
			l.fuseConv(k, i)
		case graph.OpBatchNorm, graph.OpBatchNormInfer:
			l.fuseNorm(k, i)
		case graph.OpReluGrad:
			l.fuseGrad(k, i)
		}
	}
}

// taken reports whether an instruction is part of a fusion already.
func (l *lowering) taken(k int) bool { return l.skipped[k] || l.fused[k] != nil }

// next returns the only instruction that reads id, if it has the given op.
func (l *lowering) next(id graph.ID, op graph.Op) (int, graph.Instr, bool) {
	k, ok := l.onlyUser(id)
	if !ok || l.program.Code[k].Op != op || l.taken(k) {
		return 0, graph.Instr{}, false
	}
	return k, l.program.Code[k], true
}

// other returns the operand of a binary instruction that is not id.
func other(i graph.Instr, id graph.ID) graph.ID {
	if i.In[0] == id {
		return i.In[1]
	}
	return i.In[0]
}

// A chain is a list of instructions. Only the next one reads each of them.
type chain struct {
	at []int
	y  graph.ID // result of the last
}

// extend adds instruction k to the chain.
func (c *chain) extend(l *lowering, k int) {
	c.at = append(c.at, k)
	c.y = l.program.Code[k].Out[0]
}

// fuseChain lowers a chain of two or more at its last instruction.
func (l *lowering) fuseChain(c chain, low lowerFn) {
	last := len(c.at) - 1
	for _, k := range c.at[:last] {
		l.skipped[k] = true
	}
	l.fused[c.at[last]] = low
}

func (l *lowering) fuseConv(k int, conv graph.Instr) {
	c := chain{[]int{k}, conv.Out[0]}
	tail := convTail{bias: -1}
	if at, add, ok := l.next(c.y, graph.OpAdd); ok {
		if from, ok := l.biasOf(other(add, c.y)); ok {
			c.extend(l, at)
			tail.bias = from
		}
	}
	if at, _, ok := l.next(c.y, graph.OpRelu); ok {
		c.extend(l, at)
		tail.relu = true
	}
	if len(c.at) == 1 {
		return
	}
	l.fuseChain(c, func(l *lowering, _ graph.Instr) error { return l.conv(conv, c.y, tail) })
}

// biasOf returns the vector [C] if id repeats one over the pixels of images.
func (l *lowering) biasOf(id graph.ID) (graph.ID, bool) {
	i := l.program.Code[l.maker[id]]
	if i.Op != graph.OpBroadcast {
		return 0, false
	}
	s := l.program.Types[i.In[0]].Shape
	for len(s) > 3 && s[0] == (graph.Dim{C: 1}) {
		s = s[1:]
	}
	c := l.program.Types[id].Shape
	return i.In[0], len(s) == 3 && len(c) == 4 && s[0] == c[1] && s[1:].Size() == graph.Dim{C: 1}
}

func (l *lowering) fuseNorm(k int, norm graph.Instr) {
	c := chain{[]int{k}, norm.Out[0]}
	residual, relu := graph.ID(-1), false
	if at, add, ok := l.next(c.y, graph.OpAdd); ok && l.isImage(other(add, c.y)) {
		residual = other(add, c.y)
		c.extend(l, at)
	}
	if at, _, ok := l.next(c.y, graph.OpRelu); ok {
		c.extend(l, at)
		relu = true
	}
	if len(c.at) == 1 {
		return
	}
	l.fuseChain(c, func(l *lowering, _ graph.Instr) error {
		r := none
		if residual >= 0 {
			r = l.blockedOf(residual)
		}
		l.normApply(norm, c.y, r, relu)
		return nil
	})
	// an instruction before the end of the chain may read its statistics
	if norm.Op == graph.OpBatchNorm {
		delete(l.skipped, k)
		l.fused[k] = func(l *lowering, i graph.Instr) error {
			l.normStats(i)
			return nil
		}
	}
}

// isImage reports whether id is computed in blocks, so that adding it needs no reorder.
func (l *lowering) isImage(id graph.ID) bool {
	switch l.program.Code[l.maker[id]].Op {
	case graph.OpBroadcast, graph.OpConst, graph.OpReshape, graph.OpInput, graph.OpSlot:
		return false
	}
	return true
}

// fuseGrad joins a relu_grad with the batch_norm_grad that reads it. Other instructions may read
// it, too.
func (l *lowering) fuseGrad(k int, act graph.Instr) {
	g := act.Out[0]
	for _, at := range l.users[g] {
		norm := l.program.Code[at]
		early := func(x graph.ID) bool { return l.maker[x] < k }
		if norm.Op != graph.OpBatchNormGrad || norm.In[0] != g || l.taken(at) || !every(norm.In[1:], early) {
			continue
		}
		l.skipped[at] = true
		l.fused[k] = func(l *lowering, _ graph.Instr) error {
			dy, y, stored := l.blockedOf(act.In[0]), l.blockedOf(act.In[1]), none
			if len(l.users[g]) > 1 || l.kept[g] {
				stored = l.define(g, blocked)
			}
			l.normGrad(norm, dy, y, stored)
			return nil
		}
		return
	}
}

func every(ids []graph.ID, ok func(graph.ID) bool) bool {
	return !slices.ContainsFunc(ids, func(x graph.ID) bool { return !ok(x) })
}
