package cpu

import (
	"cmp"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// line is the alignment of buffers, in bytes.
const line = 64

// A span is the stages from the first write of a buffer to its last use.
type span struct{ first, last int }

// layOut gives every buffer an offset. Buffers that no stage needs at the same time share memory.
// An operator that may work in place takes the memory of an operand after its last use.
func (p *bound) layOut() {
	lives := p.lives()
	p.share(lives)
	p.keepInWorkers(lives)
	var order []bufID
	for id := range p.buffers {
		b := &p.buffers[id]
		switch {
		case b.home.kind != inArena || b.shares >= 0:
		case lives[id].first < 0:
			b.home.kind = nowhere
		default:
			order = append(order, bufID(id))
		}
	}
	slices.SortStableFunc(order, func(x, y bufID) int {
		return cmp.Or(cmp.Compare(p.buffers[y].bytes, p.buffers[x].bytes), cmp.Compare(x, y))
	})
	var placed []bufID // by offset
	for _, id := range order {
		b := &p.buffers[id]
		b.offset = 0
		for _, other := range placed {
			o := &p.buffers[other]
			if lives[other].last < lives[id].first || lives[id].last < lives[other].first {
				continue
			}
			if b.offset+b.bytes <= o.offset {
				break
			}
			b.offset = max(b.offset, (o.offset+o.bytes+line-1)/line*line)
		}
		at, _ := slices.BinarySearchFunc(placed, b.offset, func(x bufID, offset int) int { return cmp.Compare(p.buffers[x].offset, offset) })
		placed = slices.Insert(placed, at, id)
		p.arena = max(p.arena, b.offset+b.bytes)
	}
}

// lives returns the span of every buffer; first is -1 if no phase uses it.
func (p *bound) lives() []span {
	lives := make([]span, len(p.buffers))
	for i := range lives {
		lives[i] = span{-1, -1}
	}
	for at, r := range p.stages {
		for k := range r.phases {
			for _, id := range r.phases[k].touches() {
				if lives[id].first < 0 {
					lives[id].first = at
				}
				lives[id].last = at
			}
		}
	}
	for _, v := range p.outputs {
		lives[p.bufOf[v]].last = len(p.stages)
	}
	return lives
}

// touches returns every buffer that a phase reads or writes.
func (ph *phase) touches() []bufID { return slices.Concat(ph.whole, ph.reads, ph.writes) }

// share makes operators work in place at the last use of an operand.
func (p *bound) share(lives []span) {
	root := func(id bufID) bufID {
		for p.buffers[id].shares >= 0 {
			id = p.buffers[id].shares
		}
		return id
	}
	for at, r := range p.stages {
		for k := range r.phases {
			ph := &r.phases[k]
			for _, old := range ph.inPlace {
				to, from := ph.writes[0], root(old)
				a, b := &p.buffers[to], &p.buffers[from]
				if a.home.kind != inArena || b.home.kind != inArena || a.bytes != b.bytes ||
					lives[from].last != at || lives[to].first != at || !r.lastUse(old, k) || root(to) == from {
					continue
				}
				a.shares = from
				lives[from].last = max(lives[from].last, lives[to].last)
				break
			}
		}
	}
}

// lastUse reports whether no phase after the k-th uses the buffer, and none reads it in full.
func (r *stage) lastUse(id bufID, k int) bool {
	for j := range r.phases {
		if slices.Contains(r.phases[j].whole, id) || j > k && slices.Contains(r.phases[j].touches(), id) {
			return false
		}
	}
	return true
}

// keepInWorkers finds the buffers that only one stage uses, piece by piece. They never contain the
// whole batch: every worker has memory for the images of its block.
func (p *bound) keepInWorkers(lives []span) {
	shared := map[bufID]bool{}
	for i := range p.buffers {
		if s := p.buffers[i].shares; s >= 0 {
			shared[s], shared[bufID(i)] = true, true
		}
	}
	for at, r := range p.stages {
		if !r.phases[0].local {
			continue
		}
		offset := 0
		whole := map[bufID]bool{}
		for k := range r.phases {
			for _, id := range r.phases[k].whole {
				whole[id] = true
			}
		}
		for k := range r.phases {
			for _, id := range r.phases[k].writes {
				b := &p.buffers[id]
				if b.home.kind != inArena || b.dtype != array.F32 || b.bytes%(4*r.items) != 0 || shared[id] || whole[id] || lives[id] != (span{at, at}) {
					continue
				}
				b.home.kind = inWorker
				b.offset = offset
				offset += (b.bytes/r.items*min(r.block, r.chunk) + line - 1) / line * line
			}
		}
		p.workerBytes = max(p.workerBytes, offset)
	}
}
