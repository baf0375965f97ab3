package plugins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Backend is a [backends.Backend] in a process of its own. A call runs a whole program; the slots of its sessions live in the plugin.
//
// When the plugin dies they are gone: every call from then on is a [*DiedError] that wraps [backends.ErrLost]. Launch another, and go on from
// the last checkpoint. The zero value, and nil, are one that is closed; [LaunchBackend] makes one.
type Backend struct {
	link   *link
	client protocol.BackendClient
	info   Info
	closed atomic.Bool
}

var _ backends.Backend = (*Backend)(nil)

// LaunchBackend starts a plugin that is a backend. Close it when done.
func LaunchBackend(ctx context.Context, command Command) (*Backend, error) {
	l, info, err := launch(ctx, command)
	if err != nil {
		return nil, err
	}
	if info.Backend == nil {
		l.close()
		return nil, fmt.Errorf("plugins: %s is no backend but the compressor %s; use LaunchCompressor", command.Path, info.Compressor.Name)
	}
	return &Backend{link: l, client: protocol.NewBackendClient(l.conn), info: info}, nil
}

// Describe returns what the plugin says of itself.
func (b *Backend) Describe() Info {
	if b.empty() {
		return Info{}
	}
	return b.info
}

func (b *Backend) empty() bool { return b == nil || b.link == nil }

// Info returns what the plugin says of its backend.
func (b *Backend) Info() backends.Info {
	if b.empty() {
		return backends.Info{}
	}
	i := b.info.Backend
	return backends.Info{Name: i.Name, InstructionSet: i.InstructionSet, Deterministic: i.Deterministic, Threads: i.Threads}
}

// Close lets calls under way end and then the plugin, killing it if it takes longer than Command.StopTimeout.
func (b *Backend) Close() error {
	if !b.empty() && b.closed.CompareAndSwap(false, true) {
		b.link.close()
	}
	return nil
}

func (b *Backend) alive(ctx context.Context) error {
	if b.empty() || b.closed.Load() {
		return backends.ErrClosed
	}
	return ctx.Err()
}

// call is carry for a backend: what ends because the caller closed it says so.
func (b *Backend) call(ctx context.Context, what string, p *parcel, remote func(context.Context, uint64, *memory.Lease) error) error {
	err := b.link.carry(ctx, what, p, remote)
	if err != nil && b.closed.Load() {
		return backends.ErrClosed
	}
	return err
}

// NewSession opens a session in the plugin.
func (b *Backend) NewSession(ctx context.Context) (backends.Session, error) {
	if err := b.alive(ctx); err != nil {
		return nil, err
	}
	s := &session{backend: b, sizes: map[string]int{}}
	err := b.call(ctx, "new session", &parcel{}, func(ctx context.Context, call uint64, _ *memory.Lease) error {
		reply, err := b.client.OpenSession(ctx, &protocol.OpenSessionRequest{Call: call})
		s.id = reply.GetSession()
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// session is a session of the plugin's by its number.
type session struct {
	backend *Backend
	id      uint64
	closed  atomic.Bool

	mu    sync.Mutex
	sizes map[string]int // bytes of the slots that are known, so that Get asks once
}

func (s *session) alive(ctx context.Context) error {
	if s.closed.Load() {
		return backends.ErrClosed
	}
	return s.backend.alive(ctx)
}

func (s *session) known(slot string, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes[slot] = bytes
}

func (s *session) Set(ctx context.Context, slot string, v array.Value) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	if err := v.Check(); err != nil {
		return fmt.Errorf("plugins: set slot %q: %w", slot, err)
	}
	var parcel parcel
	q := &protocol.SetRequest{Session: s.id, Slot: slot, Value: parcel.value(v)}
	err := s.backend.call(ctx, "set slot "+slot, &parcel, func(ctx context.Context, call uint64, _ *memory.Lease) error {
		q.Call = call
		_, err := s.backend.client.Set(ctx, q)
		return err
	})
	if err == nil {
		s.known(slot, v.DType.Bytes(v.Len()))
	}
	return err
}

func (s *session) Get(ctx context.Context, slot string) (array.Tensor, error) {
	if err := s.alive(ctx); err != nil {
		return array.Tensor{}, err
	}
	s.mu.Lock()
	bytes := s.sizes[slot]
	s.mu.Unlock()
	for range 2 { // a second time when the slot is larger than was known
		t, written, err := s.get(ctx, slot, bytes)
		if err != nil || written {
			return t, err
		}
		bytes = len(t.Data)
		s.known(slot, bytes)
	}
	return array.Tensor{}, s.backend.link.wrong(slot, "asked for %d bytes of room and did not use them", bytes)
}

// get returns a slot, or a tensor of its type when the room was too small.
func (s *session) get(ctx context.Context, slot string, bytes int) (t array.Tensor, written bool, err error) {
	var parcel parcel
	place, room := parcel.room(bytes)
	err = s.backend.call(ctx, "get slot "+slot, &parcel, func(ctx context.Context, call uint64, lease *memory.Lease) error {
		reply, err := s.backend.client.Get(ctx, &protocol.GetRequest{Call: call, Session: s.id, Slot: slot, Room: room})
		if err != nil {
			return err
		}
		if t, err = empty(reply.GetDtype(), reply.GetDims()); err != nil {
			return s.backend.link.wrong(slot, "its type: %w", err)
		}
		if written = reply.GetWritten(); !written {
			return nil
		}
		if len(t.Data) > bytes {
			return s.backend.link.wrong(slot, "%v%v does not fit the %d bytes of room it says it was written to", t.DType, t.Dims, bytes)
		}
		place.Bytes = len(t.Data)
		if err := lease.Receive(ctx, place); err != nil {
			return err
		}
		copy(t.Data, lease.Out(place))
		return nil
	})
	return t, written, err
}

// largest bounds what a plugin can make the host allocate for one slot.
const largest = 1 << 36

// empty returns a zero tensor of a type that nobody vouches for.
func empty(d protocol.DType, extents []int64) (array.Tensor, error) {
	kind, err := dtype(d)
	if err != nil {
		return array.Tensor{}, err
	}
	n := 1
	for _, e := range extents {
		if e < 1 || int64(n) > largest/e {
			return array.Tensor{}, fmt.Errorf("extents %v are out of range", extents)
		}
		n *= int(e)
	}
	return array.New(kind, undims(extents)...)
}

func (s *session) Compile(ctx context.Context, p *graph.Program, o backends.Options) (backends.Executable, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	if p == nil {
		return nil, errors.New("plugins: compile: program is nil")
	}
	code, err := p.Encode()
	if err != nil {
		return nil, fmt.Errorf("plugins: compile: %w", err)
	}
	var parcel parcel
	q := &protocol.CompileRequest{Session: s.id, Program: code, Pinned: o.Pin != nil, Pin: kernels(o.Pin)}
	for _, slot := range slices.Sorted(maps.Keys(o.Const)) {
		if err := o.Const[slot].Check(); err != nil {
			return nil, fmt.Errorf("plugins: compile: constant %q: %w", slot, err)
		}
		q.Constants = append(q.Constants, &protocol.Constant{Slot: slot, Value: parcel.value(o.Const[slot])})
	}
	e := &executable{session: s, program: p}
	err = s.backend.call(ctx, "compile", &parcel, func(ctx context.Context, call uint64, _ *memory.Lease) error {
		q.Call = call
		reply, err := s.backend.client.Compile(ctx, q)
		if err != nil {
			return err
		}
		if u := reply.GetUnsupported(); u != nil {
			return unsupported(u)
		}
		if e.plan, err = plan(reply.GetPlan()); err != nil {
			return &ReplyError{s.backend.link.command.Path, "", err}
		}
		e.id = reply.GetExecutable()
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, slot := range p.Slots {
		if extents, ok := slot.Shape.Dims(); ok {
			s.known(slot.Name, slot.DType.Bytes(array.Count(extents)))
		}
	}
	return e, nil
}

func (s *session) Close() error {
	if !s.closed.CompareAndSwap(false, true) || s.backend.closed.Load() || s.backend.link.alive.Err() != nil {
		return nil
	}
	return s.backend.call(context.Background(), "close session", &parcel{}, func(ctx context.Context, _ uint64, _ *memory.Lease) error {
		_, err := s.backend.client.CloseSession(ctx, &protocol.CloseSessionRequest{Session: s.id})
		return err
	})
}

// executable is an executable of the plugin's by its number.
type executable struct {
	session *session
	id      uint64
	program *graph.Program
	plan    *backends.Plan
	closed  atomic.Bool
}

func (e *executable) Plan() *backends.Plan {
	p := *e.plan
	p.Choices = slices.Clone(p.Choices)
	return &p
}

func (e *executable) Run(ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
	if e.closed.Load() {
		return nil, backends.ErrClosed
	}
	if err := e.session.alive(ctx); err != nil {
		return nil, err
	}
	sizes, err := e.program.Bind(in)
	if err != nil {
		return nil, fmt.Errorf("plugins: run: %w", err)
	}
	if out, err = e.program.BindOutputs(sizes, out); err != nil {
		return nil, fmt.Errorf("plugins: run: %w", err)
	}
	var parcel parcel
	q := &protocol.RunRequest{Executable: e.id}
	for _, t := range in {
		q.Inputs = append(q.Inputs, parcel.tensor(t))
	}
	places := make([]memory.Place, len(out))
	for i, t := range out {
		m := &protocol.Tensor{Dtype: protocol.DType(t.DType), Dims: dims(t.Dims)}
		places[i], m.Data = parcel.room(len(t.Data))
		q.Outputs = append(q.Outputs, m)
	}
	err = e.session.backend.call(ctx, "run", &parcel, func(ctx context.Context, call uint64, lease *memory.Lease) error {
		q.Call = call
		if _, err := e.session.backend.client.Run(ctx, q); err != nil {
			return err
		}
		if err := lease.Receive(ctx, places...); err != nil {
			return err
		}
		for i, p := range places {
			copy(out[i].Data, lease.Out(p))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (e *executable) Close() error {
	b := e.session.backend
	if !e.closed.CompareAndSwap(false, true) || e.session.closed.Load() || b.closed.Load() || b.link.alive.Err() != nil {
		return nil
	}
	return b.call(context.Background(), "close executable", &parcel{}, func(ctx context.Context, _ uint64, _ *memory.Lease) error {
		_, err := b.client.CloseExecutable(ctx, &protocol.CloseExecutableRequest{Executable: e.id})
		return err
	})
}
