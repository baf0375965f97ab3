package cpu

import "slices"

// A stage is a number of phases that run together: for each chunk of items, one phase after
// another.
type stage struct {
	phases []phase
	items  int
	chunk  int // items that a worker takes at a time
	block  int // items that pass through all phases together
	cost   float64
}

// A schedule groups phases into stages. A phase that works image by image joins the open stage,
// unless it reads in full a result of that stage; then it begins the next one. Another phase goes
// before the open stage if it can, so that the stage remains whole, and waits for its end
// otherwise.
type schedule struct {
	bound   *bound
	open    []phase // of the open stage
	waiting []phase // for the end of the open stage
	written map[bufID]bool
	awaited map[bufID]bool // written by waiting
}

// schedule divides phases into stages.
func (p *bound) schedule(phases []phase) {
	s := schedule{bound: p, written: map[bufID]bool{}, awaited: map[bufID]bool{}}
	for _, ph := range phases {
		p.scratch = max(p.scratch, ph.scratch)
		s.place(ph)
	}
	s.end()
}

// place finds the stage of one phase. The phases that it depends on have theirs.
func (s *schedule) place(ph phase) {
	waits := contains(s.awaited, ph.whole) || contains(s.awaited, ph.reads)
	switch {
	case ph.local:
		if waits || contains(s.written, ph.whole) || len(s.open) > 0 && s.open[0].items != ph.items {
			s.end()
		}
		s.open = append(s.open, ph)
		add(s.written, ph.writes)
	case waits || contains(s.written, ph.whole) || contains(s.written, ph.reads):
		s.waiting = append(s.waiting, ph)
		add(s.awaited, ph.writes)
	default:
		s.emit(ph)
	}
}

// end closes the open stage and then emits the phases that wait for it.
func (s *schedule) end() {
	if len(s.open) > 0 {
		s.emit(s.open...)
	}
	for _, ph := range s.waiting {
		s.emit(ph)
	}
	s.open, s.waiting = nil, nil
	clear(s.written)
	clear(s.awaited)
}

func (s *schedule) emit(phases ...phase) {
	s.bound.stages = append(s.bound.stages, s.bound.newStage(phases))
}

// contains reports whether any of ids is in the set.
func contains(set map[bufID]bool, ids []bufID) bool {
	return slices.ContainsFunc(ids, func(id bufID) bool { return set[id] })
}

func add(set map[bufID]bool, ids []bufID) {
	for _, id := range ids {
		set[id] = true
	}
}

// Sizes of the pieces that work is cut into. Results do not depend on them.
const (
	inlineCost = 32 << 10  // a stage of less cost runs without helpers
	chunkCost  = 128 << 10 // about the least cost of a chunk, much more than that of taking it
	// about the largest buffer's share of a block, which fits the second-level cache
	blockBytes = 64 << 10
)

func (p *bound) newStage(phases []phase) *stage {
	r := &stage{phases: phases, items: phases[0].items}
	each, piece := 0.0, 1
	for _, ph := range phases {
		each += ph.cost
		if !ph.local {
			continue
		}
		for _, id := range slices.Concat(ph.reads, ph.writes) {
			piece = max(piece, p.buffers[id].bytes/r.items)
		}
	}
	r.cost = each * float64(r.items)
	r.block = min(max(1, blockBytes/piece), r.items)
	r.chunk = min(max(1, int(chunkCost/max(each, 1))), r.items)
	if len(phases) == 1 {
		r.block = r.chunk
	}
	r.chunk = (r.chunk + r.block - 1) / r.block * r.block
	return r
}

func (r *stage) chunks() int { return (r.items + r.chunk - 1) / r.chunk }

// run computes one chunk.
func (r *stage) run(f *frame, worker, chunk int) error {
	end := min((chunk+1)*r.chunk, r.items)
	for i0 := chunk * r.chunk; i0 < end; i0 += r.block {
		i1 := min(i0+r.block, end)
		f.at[worker] = window{i0, r.items}
		for k := range r.phases {
			if err := f.timed(&r.phases[k], worker, i0, i1); err != nil {
				return err
			}
		}
	}
	return nil
}
