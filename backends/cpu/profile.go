package cpu

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// An OpTime is the time that one step of a program took, added up over all runs and workers.
type OpTime struct {
	Name  string // op and weight: "conv2d conv1.weight"
	Calls int    // how often a piece of it was run
	Time  time.Duration
}

// A Profiler tells where the time goes. The executables of a backend made with Options.Profile implement it.
type Profiler interface {
	// Profile returns the steps, the costliest first, and begins anew.
	Profile() []OpTime
}

// profile adds up times.
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
