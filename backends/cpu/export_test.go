package cpu

import (
	"fmt"

	"github.com/compressaware/cram/backends"
)

// CheckMemory checks the bound program that an executable used last: two buffers that one stage
// uses do not overlap, except an operand at its last use and the result that takes its memory. It
// returns the size of the arena in bytes.
func CheckMemory(exe backends.Executable) (arena int, err error) {
	e := exe.(*executable)
	p := e.bounds[len(e.bounds)-1].bound
	lives := p.lives()
	type place struct {
		id, root bufID
		from, to int // bytes
		span
	}
	var places []place
	for i := range p.buffers {
		id := bufID(i)
		for p.buffers[id].shares >= 0 {
			id = p.buffers[id].shares
		}
		root := &p.buffers[id]
		if root.home.kind != inArena || lives[i].first < 0 {
			continue
		}
		if root.offset%line != 0 || root.offset+root.bytes > p.arena {
			return 0, fmt.Errorf("buffer %d lies at %d, %d bytes of %d", i, root.offset, root.bytes, p.arena)
		}
		places = append(places, place{bufID(i), id, root.offset, root.offset + p.buffers[i].bytes, lives[i]})
	}
	for i, x := range places {
		for _, y := range places[:i] {
			if x.to <= y.from || y.to <= x.from || x.last < y.first || y.last < x.first {
				continue
			}
			if x.root == y.root && (x.first == y.last || y.first == x.last) {
				continue
			}
			return 0, fmt.Errorf("buffers %d and %d overlap in stages %v and %v", x.id, y.id, x.span, y.span)
		}
	}
	return p.arena, nil
}

// SetParts sets the number of parts of a batch for the programs that b compiles from now on: one of
// 8/n machines has n parts.
func SetParts(b *Backend, n int) { b.parts = n }

// RunJobs runs jobs of the given numbers of chunks on a pool, one after another and each so many
// times, and returns how often each chunk was run.
func RunJobs(threads, times int, chunks []int) [][]int32 {
	p := newPool(threads)
	p.owner.Lock()
	counts := make([][]int32, len(chunks))
	for i, n := range chunks {
		counts[i] = make([]int32, n)
		j := newJob(n, func(_, chunk int) { counts[i][chunk]++ })
		for range times {
			p.do(j)
		}
	}
	p.owner.Unlock()
	p.close()
	return counts
}
