package cpu

import "slices"

// A region is a number of phases that run together: for each chunk of items, all phases one after another.
type region struct {
	phases []phase
	items  int
	chunk  int // items that a worker takes at a time
	block  int // items that pass through all phases before the next ones do
	cost   float64
}

// inlineCost is the cost below which waking the workers is not worth it.
const inlineCost = 32 << 10

// chunkCost is about the least cost of a chunk, so that taking one costs nothing beside it.
const chunkCost = 128 << 10

// schedule groups phases into regions. Phases that work image by image join the open region, until one needs in full what the region computes.
// Other phases go before the open region if they can, so as not to cut it, or else wait until it ends.
func (p *plan) schedule(phases []phase) {
	var (
		open    []phase
		after   []phase // wait for the end of open
		inOpen  = map[bufID]bool{}
		inAfter = map[bufID]bool{}
		anyOf   = func(set map[bufID]bool, ids []bufID) bool {
			return slices.ContainsFunc(ids, func(id bufID) bool { return set[id] })
		}
		emit     = func(ps ...phase) { p.regions = append(p.regions, newRegion(ps, p)) }
		endOfRun = func() {
			if len(open) > 0 {
				emit(open...)
			}
			for _, ph := range after {
				emit(ph)
			}
			open, after = nil, nil
			clear(inOpen)
			clear(inAfter)
		}
		mark = func(set map[bufID]bool, ids []bufID) {
			for _, id := range ids {
				set[id] = true
			}
		}
	)
	for _, ph := range phases {
		if !ph.local {
			if anyOf(inOpen, ph.whole) || anyOf(inOpen, ph.reads) || anyOf(inAfter, ph.whole) || anyOf(inAfter, ph.reads) {
				after = append(after, ph)
				mark(inAfter, ph.writes)
			} else {
				emit(ph)
			}
			continue
		}
		if len(open) > 0 && (open[0].items != ph.items || anyOf(inOpen, ph.whole) || anyOf(inAfter, ph.whole) || anyOf(inAfter, ph.reads)) {
			endOfRun()
		}
		open = append(open, ph)
		mark(inOpen, ph.writes)
	}
	endOfRun()
}

// blockBytes is about what the largest piece of a block of items should take, for a block to stay in the second-level cache from phase
// to phase.
const blockBytes = 64 << 10

func newRegion(phases []phase, p *plan) *region {
	r := &region{phases: phases, items: phases[0].items}
	each, piece := 0.0, 1
	for _, ph := range phases {
		each += ph.cost
		for _, ids := range [][]bufID{ph.reads, ph.writes} {
			for _, id := range ids {
				if ph.local {
					piece = max(piece, p.buffers[id].bytes/r.items)
				}
			}
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

func (r *region) chunks() int { return (r.items + r.chunk - 1) / r.chunk }

// run computes one chunk.
func (r *region) run(f *frame, worker, chunk int) error {
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
