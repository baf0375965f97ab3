package cpu

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// An OpTime is the time of one step of a program, summed over all runs and workers.
type OpTime struct {
	Name  string // op and weight: "conv2d conv1.weight"
	Calls int    // number of pieces that were run
	Time  time.Duration
}

// A Profiler measures the time of each step. The executables of a backend with Options.Profile
// implement it.
type Profiler interface {
	// Profile returns the times since the last call, the longest first.
	Profile() []OpTime
}

// A profile sums times by step.
type profile struct {
	mu    sync.Mutex
	steps map[string]*OpTime
}

func newProfile() *profile { return &profile{steps: map[string]*OpTime{}} }

func (p *profile) add(s *step, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.steps[s.name]
	if t == nil {
		t = &OpTime{Name: s.name}
		p.steps[s.name] = t
	}
	t.Calls++
	t.Time += d
}

func (p *profile) drain() []OpTime {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []OpTime
	for _, t := range p.steps {
		all = append(all, *t)
	}
	clear(p.steps)
	slices.SortFunc(all, func(a, b OpTime) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Name, b.Name))
	})
	return all
}
