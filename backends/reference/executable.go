package reference

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// An executable is a program with its constants.
type executable struct {
	session *session
	program *graph.Program
	consts  map[string]operand
	memory  budget // what Compile allocated
	closed  atomic.Bool
}

func (e *executable) alive(ctx context.Context) error {
	if e.closed.Load() {
		return backends.ErrClosed
	}
	return e.session.alive(ctx)
}

func (e *executable) Plan() *backends.Plan {
	return &backends.Plan{InstructionSet: instructionSet, Threads: 1}
}

// fixed reports whether every run has the same sizes.
func (e *executable) fixed() bool {
	for _, in := range e.program.Inputs {
		if _, ok := e.program.Types[in.ID].Shape.Dims(); !ok {
			return false
		}
	}
	return true
}

func (e *executable) Close() error {
	e.closed.Store(true)
	return nil
}

// Run computes every value of the program in order. It writes slots and outputs when all of it is
// done.
func (e *executable) Run(ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
	if err := e.alive(ctx); err != nil {
		return nil, err
	}
	sizes, err := e.program.Bind(in)
	if err != nil {
		return nil, fmt.Errorf("reference: run: %w", err)
	}
	if err := e.memory.checkRun(e.program, sizes); err != nil {
		return nil, called("run", err)
	}
	out, err = e.program.BindOutputs(sizes, out)
	if err != nil {
		return nil, fmt.Errorf("reference: run: %w", err)
	}
	values, err := e.compute(ctx, in, sizes)
	if err != nil {
		return nil, err
	}
	if err := e.commit(ctx, values); err != nil {
		return nil, err
	}
	for i, o := range e.program.Outputs {
		values[o.ID].store(out[i])
	}
	return out, nil
}

func (e *executable) compute(ctx context.Context, in []array.Tensor, sizes graph.Sizes) ([]operand, error) {
	p := e.program
	values := make([]operand, len(p.Types))
	for i, port := range p.Inputs {
		values[port.ID] = load(in[i])
	}
	if err := e.readSlots(values); err != nil {
		return nil, err
	}
	for n, i := range p.Code {
		if i.Op == graph.OpInput || i.Op == graph.OpSlot {
			continue
		}
		if err := e.alive(ctx); err != nil {
			return nil, err
		}
		x, y := make([]operand, len(i.In)), make([]operand, len(i.Out))
		for j, id := range i.In {
			x[j] = values[id]
		}
		for j, id := range i.Out {
			dims, err := p.Types[id].Shape.Bind(sizes)
			if err != nil {
				return nil, fmt.Errorf("reference: run: instruction %d (%s): %w", n, i.Op, err)
			}
			y[j] = zeros(p.Types[id].DType, dims)
		}
		if err := kernels[i.Op](i.Attr, x, y); err != nil {
			return nil, fmt.Errorf("reference: run: instruction %d (%s): %w", n, i.Op, err)
		}
		for j, id := range i.Out {
			y[j].round()
			values[id] = y[j]
		}
	}
	return values, nil
}

func (e *executable) readSlots(values []operand) error {
	s := e.session
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, i := range e.program.Code {
		if i.Op != graph.OpSlot {
			continue
		}
		slot := i.Attr.(graph.SourceAttr).Name
		x, ok := e.consts[slot]
		if !ok {
			if x, ok = s.slots[slot]; !ok {
				return backends.ErrClosed // Compile made the slot; only Close removes it
			}
		}
		values[i.Out[0]] = x
	}
	return nil
}

// commit writes all updates, or none if the session was closed or the context cancelled.
func (e *executable) commit(ctx context.Context, values []operand) error {
	if err := e.alive(ctx); err != nil {
		return err
	}
	if len(e.program.Updates) == 0 {
		return nil
	}
	s := e.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots == nil {
		return backends.ErrClosed
	}
	for _, u := range e.program.Updates {
		s.slots[u.Slot] = values[u.ID]
	}
	return nil
}
