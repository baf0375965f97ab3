package cpu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A session has slots and arenas. A run that updates slots holds mu alone, other runs share it.
type session struct {
	backend *Backend
	closed  atomic.Bool

	mu    sync.RWMutex
	slots map[string]*slot

	permits chan struct{} // one for each run in progress
	arenaMu sync.Mutex
	arenas  [][]byte // not in use
}

// A slot has its value and memory for the next one. An update computes the next value and takes
// effect by an exchange of the two.
type slot struct{ value, next array.Tensor }

func newSession(b *Backend) *session {
	return &session{backend: b, slots: map[string]*slot{}, permits: make(chan struct{}, max(2, b.threads))}
}

// alive returns the reason why a call ends: ErrClosed or the error of the context.
func (s *session) alive(ctx context.Context) error {
	if s.closed.Load() || s.backend.closed.Load() {
		return backends.ErrClosed
	}
	return ctx.Err()
}

// Set gives a slot its value.
func (s *session) Set(ctx context.Context, name string, v array.Value) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	if name == "" {
		return errors.New("cpu: set: slot has no name")
	}
	t, err := decode(v)
	if err != nil {
		return fmt.Errorf("cpu: set slot %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.slots[name]
	if !ok {
		s.slots[name] = &slot{value: t}
		return nil
	}
	if old.value.DType != t.DType || !slices.Equal(old.value.Dims, t.Dims) {
		return fmt.Errorf("cpu: set slot %q: want %v%v, got %v%v", name, old.value.DType, old.value.Dims, t.DType, t.Dims)
	}
	copy(old.value.Data, t.Data)
	return nil
}

// decode returns a tensor with memory of its own.
func decode(v array.Value) (array.Tensor, error) {
	if !holds(v.DType) {
		return array.Tensor{}, fmt.Errorf("values of type %v cannot be held", v.DType)
	}
	return v.Decode()
}

// Get returns a copy of a slot's value.
func (s *session) Get(ctx context.Context, name string) (array.Tensor, error) {
	if err := s.alive(ctx); err != nil {
		return array.Tensor{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	x, ok := s.slots[name]
	if !ok {
		return array.Tensor{}, fmt.Errorf("cpu: get: no slot %q; Set it or Compile a program that declares it", name)
	}
	return x.value.Clone(), nil
}

// Compile lowers a program and declares its slots.
func (s *session) Compile(ctx context.Context, p *graph.Program, o backends.Options) (backends.Executable, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	if p == nil {
		return nil, errors.New("cpu: compile: program is nil")
	}
	if err := p.Verify(); err != nil {
		return nil, fmt.Errorf("cpu: compile: %w", err)
	}
	if missing := lacking(p); len(missing) > 0 {
		return nil, &backends.UnsupportedError{Backend: "cpu", Missing: missing}
	}
	if o.MemoryLimit < 0 {
		return nil, fmt.Errorf("cpu: compile: want a memory limit of 0 (none) or more, got %d", o.MemoryLimit)
	}
	l, err := lower(p, s.backend.isa, o)
	if err != nil {
		return nil, compileError(err)
	}
	l.parts = s.backend.parts
	if o.Pin != nil {
		for _, c := range o.Pin.Choices {
			if !l.has(c.Name) {
				return nil, fmt.Errorf("cpu: compile: pin %q: the program has no such choice; Plan lists them", c.Name)
			}
		}
	}
	e := &executable{session: s, lowered: l}
	if s.backend.profile {
		e.times = newProfile()
	}
	if e.slots, err = s.declare(e); err != nil {
		return nil, compileError(err)
	}
	return e, nil
}

// compileError names the call, except for a MemoryError, which is complete.
func compileError(err error) error {
	if memory := (*backends.MemoryError)(nil); errors.As(err, &memory) {
		return memory
	}
	return fmt.Errorf("cpu: compile: %w", err)
}

// declare makes the slots of the program that the session does not have, all or none of them. It
// returns all slots of the program, nil for constants.
func (s *session) declare(e *executable) ([]*slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return nil, backends.ErrClosed
	}
	p := e.lowered.program
	slots := make([]*slot, len(p.Slots))
	for i, decl := range p.Slots {
		if _, ok := e.lowered.frozen[decl.Name]; ok {
			continue
		}
		dims, _ := decl.Shape.Dims() // constant, as Verify has checked
		old, ok := s.slots[decl.Name]
		if !ok {
			old = &slot{}
			old.value.DType, old.value.Dims = decl.DType, dims
		} else if old.value.DType != decl.DType || !slices.Equal(old.value.Dims, dims) {
			return nil, fmt.Errorf("slot %q: the program wants %v, the session holds %v%v", decl.Name, decl.Type, old.value.DType, old.value.Dims)
		}
		slots[i] = old
	}
	if err := e.admit(slots); err != nil {
		return nil, err
	}
	for i, x := range slots {
		if x == nil {
			continue
		}
		if x.value.Data == nil {
			t, err := array.New(x.value.DType, x.value.Dims...)
			if err != nil {
				return nil, fmt.Errorf("slot %q: %w", p.Slots[i].Name, err)
			}
			x.value = t
		}
		if updates(p, p.Slots[i].Name) && x.next.None() {
			x.next = x.value.Clone()
		}
	}
	for i, x := range slots {
		if x != nil {
			s.slots[p.Slots[i].Name] = x
		}
	}
	return slots, nil
}

// updates reports whether a program updates a slot.
func updates(p *graph.Program, slot string) bool {
	return slices.ContainsFunc(p.Updates, func(u graph.Update) bool { return u.Slot == slot })
}

// admit returns a MemoryError if the limit is too small for the slots that do not exist yet or, in
// a program without symbols, for a run.
func (e *executable) admit(slots []*slot) error {
	l := e.lowered
	for i, x := range slots {
		if x == nil {
			continue
		}
		bytes, decl := int64(0), l.program.Slots[i]
		each := int64(decl.DType.Bytes(array.Count(x.value.Dims)))
		if x.value.Data == nil {
			bytes += each
		}
		if x.next.None() && updates(l.program, decl.Name) {
			bytes += each
		}
		if err := l.memory.take(bytes, described(fmt.Sprintf("slot %q", decl.Name), decl.DType, x.value.Dims)); err != nil {
			return err
		}
	}
	for _, in := range l.program.Inputs {
		if _, ok := l.program.Types[in.ID].Shape.Dims(); !ok {
			return nil
		}
	}
	if l.memory.limit == 0 {
		return nil
	}
	_, err := e.boundFor(graph.Sizes{})
	return err
}

// Close frees the slots after the runs in progress.
func (s *session) Close() error {
	s.closed.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.slots)
	s.arenaMu.Lock()
	defer s.arenaMu.Unlock()
	s.arenas = nil
	return nil
}

// takeArena waits for a permit and returns memory of at least that many bytes.
func (s *session) takeArena(ctx context.Context, bytes int) ([]byte, error) {
	select {
	case s.permits <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.arenaMu.Lock()
	defer s.arenaMu.Unlock()
	var a []byte
	if n := len(s.arenas); n > 0 {
		a, s.arenas = s.arenas[n-1], s.arenas[:n-1]
	}
	if len(a) < bytes {
		a = bytesOf(kernels.Floats((bytes + 3) / 4))
	}
	return a, nil
}

// giveArena returns the memory and the permit.
func (s *session) giveArena(a []byte) {
	s.arenaMu.Lock()
	if !s.closed.Load() {
		s.arenas = append(s.arenas, a)
	}
	s.arenaMu.Unlock()
	<-s.permits
}
