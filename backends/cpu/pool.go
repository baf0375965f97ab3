package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A job is a number of chunks, to be run in any order and at once. It may be run again and again.
type job struct {
	run    func(worker, chunk int)
	chunks int64
	next   atomic.Int64 // chunk to take; from chunks on there is none
	left   atomic.Int64 // twice the chunks that are not done, plus one if the caller is asleep until they are
}

// newJob returns a job with nothing to take: a helper may see it before its first run begins.
func newJob(chunks int, run func(worker, chunk int)) *job {
	j := &job{run: run, chunks: int64(chunks)}
	j.next.Store(j.chunks)
	return j
}

// A pool runs jobs on the caller, worker 0, and on helpers, workers 1 and up. One run at a time owns it; another one that comes meanwhile
// works alone.
type pool struct {
	owner   sync.Mutex
	helpers sync.WaitGroup

	current  atomic.Pointer[job]
	sequence atomic.Uint64 // of the current job; changes when there is work
	stopped  atomic.Bool
	parked   atomic.Int64
	wake     chan struct{} // a token for each parked helper

	finished chan struct{} // wakes the caller
}

// How often a helper or the caller looks before it sleeps: some tens of microseconds, about the gap between two regions of a training step.
const (
	spins      = 4000
	spinsYield = 200 // every so many looks, other goroutines get a turn
)

func newPool(threads int) *pool {
	p := &pool{wake: make(chan struct{}, threads), finished: make(chan struct{}, 1)}
	for worker := 1; worker < threads; worker++ {
		p.helpers.Add(1)
		go p.help(worker)
	}
	return p
}

// do runs all chunks of j and returns when they are done. The caller owns the pool.
func (p *pool) do(j *job) {
	// A helper that was late for another run may take a chunk as soon as next is zero, so that comes last.
	j.left.Store(2 * j.chunks)
	p.current.Store(j)
	j.next.Store(0)
	p.sequence.Add(1)
	// A helper counts itself parked before it looks at sequence for the last time: it sees the change, or is seen here.
	for range min(p.parked.Load(), j.chunks-1) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.work(j, 0)
	p.wait(j)
}

// work takes chunks of j until there are none left.
func (p *pool) work(j *job, worker int) {
	for {
		chunk := j.next.Add(1) - 1
		if chunk >= j.chunks {
			return
		}
		j.run(worker, int(chunk))
		if j.left.Add(-2) == 1 {
			p.finished <- struct{}{}
		}
	}
}

// wait returns when all chunks of j are done.
func (p *pool) wait(j *job) {
	if spin(func() bool { return j.left.Load() == 0 }) {
		return
	}
	// Whoever is last sees in one step that the caller sleeps; if that has happened already, nobody will wake it.
	if j.left.Add(1) > 1 {
		<-p.finished
	}
}

// help is a helper's life.
func (p *pool) help(worker int) {
	defer p.helpers.Done()
	seen := uint64(0)
	news := func() bool { return p.sequence.Load() != seen }
	for !p.stopped.Load() {
		if !spin(news) {
			p.parked.Add(1)
			if !news() {
				<-p.wake
			}
			p.parked.Add(-1)
			continue
		}
		seen = p.sequence.Load()
		if j := p.current.Load(); j != nil {
			p.work(j, worker)
		}
	}
}

// close ends the helpers once no run owns the pool.
func (p *pool) close() {
	p.owner.Lock()
	defer p.owner.Unlock()
	p.stopped.Store(true)
	p.sequence.Add(1)
	close(p.wake)
	p.helpers.Wait()
}

// spin looks until ready says so, or long enough.
func spin(ready func() bool) bool {
	for i := range spins {
		if ready() {
			return true
		}
		if i%spinsYield == spinsYield-1 {
			runtime.Gosched()
		}
	}
	return false
}
