package reference

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A session is a map of slots. Kernels never write to an array in it; an update replaces it.
type session struct {
	backend *backend
	closed  atomic.Bool

	mu    sync.RWMutex
	slots map[string]operand
}

// alive returns the reason why a call ends: ErrClosed or the error of the context.
func (s *session) alive(ctx context.Context) error {
	if s.closed.Load() || s.backend.closed.Load() {
		return backends.ErrClosed
	}
	return ctx.Err()
}

func (s *session) Set(ctx context.Context, slot string, v array.Value) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	x, err := decode(v)
	if err != nil {
		return fmt.Errorf("reference: set slot %q: %w", slot, err)
	}
	if slot == "" {
		return errors.New("reference: set: slot has no name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.slots[slot]; ok && !old.sameType(x) {
		return fmt.Errorf("reference: set slot %q: want %v%v, got %v%v", slot, old.dtype, old.dims, x.dtype, x.dims)
	}
	s.slots[slot] = x
	return nil
}

func (s *session) Get(ctx context.Context, slot string) (array.Tensor, error) {
	if err := s.alive(ctx); err != nil {
		return array.Tensor{}, err
	}
	s.mu.RLock()
	x, ok := s.slots[slot]
	s.mu.RUnlock()
	if !ok {
		return array.Tensor{}, fmt.Errorf("reference: get: no slot %q; Set it or Compile a program that declares it", slot)
	}
	t, err := array.New(x.dtype, x.dims...)
	if err != nil {
		return array.Tensor{}, err
	}
	x.store(t)
	return t, nil
}

func (s *session) Compile(ctx context.Context, p *graph.Program, o backends.Options) (backends.Executable, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	if p == nil {
		return nil, errors.New("reference: compile: program is nil")
	}
	if err := p.Verify(); err != nil {
		return nil, fmt.Errorf("reference: compile: %w", err)
	}
	if missing := lacking(p); len(missing) > 0 {
		return nil, &backends.UnsupportedError{Backend: name, Missing: missing}
	}
	if o.Pin != nil && len(o.Pin.Choices) > 0 {
		return nil, fmt.Errorf("reference: compile: pin %q: this backend has one kernel for each op and no choices", o.Pin.Choices[0].Name)
	}
	if o.MemoryLimit < 0 {
		return nil, fmt.Errorf("reference: compile: want a memory limit of 0 (none) or more, got %d", o.MemoryLimit)
	}
	e := &executable{session: s, program: p, memory: budget{limit: o.MemoryLimit}}
	if err := e.memory.takeConstants(p, o.Const); err != nil {
		return nil, err
	}
	var err error
	if e.consts, err = constants(p, o.Const); err != nil {
		return nil, fmt.Errorf("reference: compile: %w", err)
	}
	if err := s.declare(e); err != nil {
		return nil, called("compile", err)
	}
	return e, nil
}

// called adds the name of the call to an error, except to a MemoryError, which is complete.
func called(call string, err error) error {
	if memory := (*backends.MemoryError)(nil); errors.As(err, &memory) {
		return memory
	}
	return fmt.Errorf("reference: %s: %w", call, err)
}

// lacking lists what this backend lacks for a program, each op and type once.
func lacking(p *graph.Program) []string {
	var missing []string
	for _, i := range p.Code {
		_, known := kernels[i.Op]
		known = known || i.Op == graph.OpInput || i.Op == graph.OpSlot
		for _, id := range slices.Concat(i.In, i.Out) {
			d := p.Types[id].DType
			if what := fmt.Sprintf("%s %v", i.Op, d); !(known && supported(d)) && !slices.Contains(missing, what) {
				missing = append(missing, what)
			}
		}
	}
	return missing
}

// constants decodes the values of Options.Const for the slots of p. It ignores values of other
// names, so that several programs can have the same constants.
func constants(p *graph.Program, values map[string]array.Value) (map[string]operand, error) {
	consts := make(map[string]operand, len(values))
	for slot, v := range values {
		decl, ok := p.Slot(slot)
		if !ok {
			continue
		}
		if slices.ContainsFunc(p.Updates, func(u graph.Update) bool { return u.Slot == slot }) {
			return nil, fmt.Errorf("const %q: the program updates this slot", slot)
		}
		if dims, _ := decl.Shape.Dims(); v.DType != decl.DType || !slices.Equal(v.Dims, dims) {
			return nil, fmt.Errorf("const %q: want %v, got %v%v", slot, decl.Type, v.DType, v.Dims)
		}
		x, err := decode(v)
		if err != nil {
			return nil, fmt.Errorf("const %q: %w", slot, err)
		}
		consts[slot] = x
	}
	return consts, nil
}

// declare makes the slots of the program that the session does not have, all or none of them.
func (s *session) declare(e *executable) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []graph.Slot
	for _, decl := range e.program.Slots {
		if _, ok := e.consts[decl.Name]; ok {
			continue
		}
		if old, ok := s.slots[decl.Name]; !ok {
			if err := e.memory.takeSlot("slot", decl); err != nil {
				return err
			}
			missing = append(missing, decl)
		} else if !old.is(decl.Type) {
			return fmt.Errorf("slot %q: the program wants %v, the session holds %v%v", decl.Name, decl.Type, old.dtype, old.dims)
		}
	}
	if e.fixed() {
		if err := e.memory.checkRun(e.program, graph.Sizes{}); err != nil {
			return err
		}
	}
	for _, decl := range missing {
		dims, _ := decl.Shape.Dims()
		s.slots[decl.Name] = zeros(decl.DType, dims)
	}
	return nil
}

func (s *session) Close() error {
	s.closed.Store(true)
	s.mu.Lock()
	s.slots = nil
	s.mu.Unlock()
	return nil
}
