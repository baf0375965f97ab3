package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A job is a number of chunks that may run in any order and at the same time. It may run many
// times.
type job struct {
	run    func(worker, chunk int)
	chunks int64
	next   atomic.Int64 // next chunk to take, if below chunks
	left   atomic.Int64 // twice the chunks that are not done, plus one if the caller sleeps
}

// newJob returns a job without chunks to take, because a helper may see it before its first run
// begins.
func newJob(chunks int, run func(worker, chunk int)) *job {
	j := &job{run: run, chunks: int64(chunks)}
	j.next.Store(j.chunks)
	return j
}

// A pool runs jobs on the caller, worker 0, and on helpers, workers 1 and up. One run at a time
// owns it. Another run at that time has no helpers.
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

// The number of checks of a helper or the caller before it sleeps. They take some tens of
// microseconds, about the time between two stages of a training step.
const (
	spins      = 4000
	spinsYield = 200 // checks between two calls of runtime.Gosched
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
	// A late helper of another run may take a chunk as soon as next is zero, so next is set last.
	j.left.Store(2 * j.chunks)
	p.current.Store(j)
	j.next.Store(0)
	p.sequence.Add(1)
	// A helper adds itself to parked before its last look at sequence. Either it sees the change,
	// or this loop counts it.
	for range min(p.parked.Load(), j.chunks-1) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.work(j, 0)
	p.wait(j)
}

// work takes chunks of j until none is left.
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
	// The worker that ends the last chunk sees in one atomic step that the caller sleeps, and wakes
	// it. If that chunk has ended before the Add, the caller must not sleep.
	if j.left.Add(1) > 1 {
		<-p.finished
	}
}

// help is the loop of a helper.
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

// close ends the helpers when no run owns the pool.
func (p *pool) close() {
	p.owner.Lock()
	defer p.owner.Unlock()
	p.stopped.Store(true)
	p.sequence.Add(1)
	close(p.wake)
	p.helpers.Wait()
}

// spin calls ready until it returns true, at most spins times.
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
