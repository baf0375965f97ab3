package cpu

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/cpuid/v2"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// An executable is a lowered program with the slots of its session. It keeps the bound programs of
// the sizes that it met last.
type executable struct {
	session *session
	lowered *lowered
	slots   []*slot // by slot of the program, nil where constant
	times   *profile
	closed  atomic.Bool

	mu     sync.Mutex
	bounds []sizedBound // the one used last at the end
}

// A sizedBound is a bound program and its sizes.
type sizedBound struct {
	sizes graph.Sizes
	bound *bound
}

// mostSizes is the number of bound programs that an executable keeps.
const mostSizes = 8

var _ Profiler = (*executable)(nil)

func (e *executable) alive(ctx context.Context) error {
	if e.closed.Load() {
		return backends.ErrClosed
	}
	return e.session.alive(ctx)
}

// Plan returns the kernel of each convolution and matrix product.
func (e *executable) Plan() *backends.Plan {
	b := e.session.backend
	return &backends.Plan{
		Device: cpuid.CPU.BrandName, InstructionSet: b.isa.String(), Threads: b.threads,
		Choices: slices.Clone(e.lowered.choices),
	}
}

// Profile returns the time of each step since the last call, nil without Options.Profile.
func (e *executable) Profile() []OpTime {
	if e.times == nil {
		return nil
	}
	return e.times.drain()
}

// Close drops the bound programs.
func (e *executable) Close() error {
	e.closed.Store(true)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bounds = nil
	return nil
}

// Run computes the stages of the bound program for these inputs. Updates are computed in memory
// that is not the slots', and take effect at the end, where no error can happen any more.
func (e *executable) Run(ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
	if err := e.alive(ctx); err != nil {
		return nil, err
	}
	program := e.lowered.program
	sizes, err := program.Bind(in)
	if err != nil {
		return nil, fmt.Errorf("cpu: run: %w", err)
	}
	p, err := e.boundFor(sizes)
	if memory := (*backends.MemoryError)(nil); errors.As(err, &memory) {
		return nil, memory
	}
	if err != nil {
		return nil, fmt.Errorf("cpu: run: %w", err)
	}
	out, err = program.BindOutputs(sizes, out)
	if err != nil {
		return nil, fmt.Errorf("cpu: run: %w", err)
	}
	arena, err := e.session.takeArena(ctx, p.arena)
	if err != nil {
		return nil, err
	}
	defer e.session.giveArena(arena)
	f := p.take(e.times)
	defer p.give(f)
	if len(program.Updates) > 0 {
		e.session.mu.Lock()
		defer e.session.mu.Unlock()
	} else {
		e.session.mu.RLock()
		defer e.session.mu.RUnlock()
	}
	e.attach(f, arena, in)
	if err := e.compute(ctx, f); err != nil {
		return nil, err
	}
	for i, v := range p.outputs {
		copy(out[i].Data, f.bytes[p.bufOf[v]])
	}
	for k := range program.Updates {
		s := e.updated(k)
		s.value, s.next = s.next, s.value
	}
	return out, nil
}

// attach gives memory to the buffers of a frame: in the arena, the inputs, the slots and their next
// values.
func (e *executable) attach(f *frame, arena []byte, in []array.Tensor) {
	f.attach(arena)
	for i := range f.bound.buffers {
		switch h := f.bound.buffers[i].home; h.kind {
		case inInput:
			f.set(bufID(i), in[h.index].Data)
		case inSlot:
			f.set(bufID(i), e.slots[h.index].value.Data)
		case inUpdate:
			f.set(bufID(i), e.updated(h.index).next.Data)
		}
	}
}

// updated returns the slot of the k-th update.
func (e *executable) updated(k int) *slot {
	name := e.lowered.program.Updates[k].Slot
	return e.slots[slices.IndexFunc(e.lowered.program.Slots, func(s graph.Slot) bool { return s.Name == name })]
}

// compute runs the stages, with the helpers of the pool unless another run has them.
func (e *executable) compute(ctx context.Context, f *frame) error {
	pool := e.session.backend.pool
	owner := pool.owner.TryLock()
	if owner {
		defer pool.owner.Unlock()
	}
	for i, r := range f.bound.stages {
		if err := e.alive(ctx); err != nil {
			return err
		}
		if j := f.jobs[i]; owner && j.chunks > 1 && r.cost >= inlineCost && f.bound.threads > 1 {
			pool.do(j)
		} else {
			for chunk := range r.chunks() {
				j.run(0, chunk)
			}
		}
		if f.err != nil {
			return fmt.Errorf("cpu: run: %w", f.err)
		}
	}
	return e.alive(ctx)
}

// boundFor returns the program bound to sizes, and binds it if the executable does not have it.
func (e *executable) boundFor(sizes graph.Sizes) (*bound, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, sb := range e.bounds {
		if maps.Equal(sb.sizes, sizes) {
			e.bounds = append(slices.Delete(e.bounds, i, i+1), sb)
			return sb.bound, nil
		}
	}
	b := e.session.backend
	p, err := bind(e.lowered, b.isa, b.threads, sizes)
	if err != nil {
		return nil, err
	}
	if err := e.lowered.memory.check(p); err != nil {
		return nil, err
	}
	if len(e.bounds) == mostSizes {
		e.bounds = slices.Delete(e.bounds, 0, 1)
	}
	e.bounds = append(e.bounds, sizedBound{sizes, p})
	return p, nil
}
