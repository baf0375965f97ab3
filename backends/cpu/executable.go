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

// An executable is a lowered program with the session's slots and a plan for each of the sizes it met last.
type executable struct {
	session *session
	lowered *lowered
	slots   []*slot // by slot of the program, nil where constant
	times   *profile
	closed  atomic.Bool

	mu    sync.Mutex
	plans []sizedPlan // the last used at the end
}

type sizedPlan struct {
	sizes graph.Sizes
	plan  *plan
}

// mostPlans is how many sizes an executable remembers.
const mostPlans = 8

var _ Profiler = (*executable)(nil)

func (e *executable) alive(ctx context.Context) error {
	if e.closed.Load() {
		return backends.ErrClosed
	}
	return e.session.alive(ctx)
}

// Plan returns the kernel chosen for each convolution and matrix product.
func (e *executable) Plan() *backends.Plan {
	b := e.session.backend
	return &backends.Plan{
		Device: cpuid.CPU.BrandName, InstructionSet: b.level.String(), Threads: b.threads,
		Choices: slices.Clone(e.lowered.choices),
	}
}

// Profile returns the time each step took since the last call; nothing unless the backend was made with Options.Profile.
func (e *executable) Profile() []OpTime {
	if e.times == nil {
		return nil
	}
	return e.times.drain()
}

// Close lets go of the plans.
func (e *executable) Close() error {
	e.closed.Store(true)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plans = nil
	return nil
}

// Run walks the regions of the plan for these inputs. Updates are computed beside the slots and take effect last, when nothing can fail any more.
func (e *executable) Run(ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
	if err := e.alive(ctx); err != nil {
		return nil, err
	}
	program := e.lowered.program
	sizes, err := program.Bind(in)
	if err != nil {
		return nil, fmt.Errorf("cpu: run: %w", err)
	}
	p, err := e.planFor(sizes)
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

// attach places the buffers of a frame: in the arena, the inputs, the slots and their next values.
func (e *executable) attach(f *frame, arena []byte, in []array.Tensor) {
	f.attach(arena)
	for i := range f.plan.buffers {
		switch h := f.plan.buffers[i].home; h.kind {
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

// compute runs the regions, with the helpers of the pool unless another run has them.
func (e *executable) compute(ctx context.Context, f *frame) error {
	pool := e.session.backend.pool
	owner := pool.owner.TryLock()
	if owner {
		defer pool.owner.Unlock()
	}
	for i, r := range f.plan.regions {
		if err := e.alive(ctx); err != nil {
			return err
		}
		if j := f.jobs[i]; owner && j.chunks > 1 && r.cost >= inlineCost && f.plan.threads > 1 {
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

// planFor returns the plan for sizes, making it when needed.
func (e *executable) planFor(sizes graph.Sizes) (*plan, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, sp := range e.plans {
		if maps.Equal(sp.sizes, sizes) {
			e.plans = append(slices.Delete(e.plans, i, i+1), sp)
			return sp.plan, nil
		}
	}
	b := e.session.backend
	p, err := bind(e.lowered, b.level, b.threads, sizes)
	if err != nil {
		return nil, err
	}
	if err := e.lowered.memory.check(p); err != nil {
		return nil, err
	}
	if len(e.plans) == mostPlans {
		e.plans = slices.Delete(e.plans, 0, 1)
	}
	e.plans = append(e.plans, sizedPlan{sizes, p})
	return p, nil
}
