package plugins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Backend is a [backends.Backend] in a separate process. [LaunchBackend] returns one. A call runs a
// whole program; the slots of its sessions are in the plugin.
//
// When the plugin dies, the slots are lost, and all calls return a [*DiedError] that wraps
// [backends.ErrLost]. A training then launches another plugin and resumes from its last checkpoint.
type Backend struct {
	client *client
	rpc    protocol.BackendClient
	info   Info
	closed atomic.Bool
}

var _ backends.Backend = (*Backend)(nil)

// LaunchBackend starts a plugin that is a backend. Close ends it.
func LaunchBackend(ctx context.Context, command Command) (*Backend, error) {
	c, info, err := launch(ctx, command)
	if err != nil {
		return nil, err
	}
	if info.Backend == nil {
		c.close()
		name := info.Compressor.Name
		return nil, fmt.Errorf("plugins: %s: want a backend, got the compressor %s: use LaunchCompressor", command.Path, name)
	}
	return newBackend(c, info), nil
}

func newBackend(c *client, info Info) *Backend {
	return &Backend{client: c, rpc: protocol.NewBackendClient(c.conn), info: info}
}

// Describe returns the description of the plugin.
func (b *Backend) Describe() Info { return b.info }

// Info returns the plugin's description of its backend.
func (b *Backend) Info() backends.Info {
	i := b.info.Backend
	return backends.Info{Name: i.Name, InstructionSet: i.InstructionSet, Deterministic: i.Deterministic, Threads: i.Threads}
}

// Close waits for the running calls and ends the plugin. A plugin that takes longer than
// Command.StopTimeout is killed.
func (b *Backend) Close() error {
	if b.closed.CompareAndSwap(false, true) {
		b.client.close()
	}
	return nil
}

// open returns ErrClosed when the backend is closed.
func (b *Backend) open() error {
	if b.closed.Load() {
		return closedError(b.client.command.Path)
	}
	return nil
}

// call makes a remote call. When Close ended it, it returns ErrClosed.
func (b *Backend) call(ctx context.Context, what string, p *payload, remote func(context.Context, uint64, *memory.Pair) error) error {
	err := b.client.callWith(ctx, what, p, remote)
	if err != nil && b.closed.Load() {
		return closedError(b.client.command.Path)
	}
	return err
}

// NewSession opens a session in the plugin.
func (b *Backend) NewSession(ctx context.Context) (backends.Session, error) {
	if err := b.open(); err != nil {
		return nil, err
	}
	s := &session{backend: b, sizes: map[string]int{}}
	err := b.call(ctx, "new session", &payload{}, func(ctx context.Context, id uint64, _ *memory.Pair) error {
		reply, err := b.rpc.OpenSession(ctx, &protocol.OpenSessionRequest{Call: id})
		s.id = reply.GetSession()
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// A session is a session in the plugin.
type session struct {
	backend *Backend
	id      uint64
	closed  atomic.Bool

	mu    sync.Mutex
	sizes map[string]int // bytes of the slots whose size is known, so that Get needs one call
}

func (s *session) open() error {
	if s.closed.Load() {
		return closedError(s.backend.client.command.Path)
	}
	return s.backend.open()
}

func (s *session) setSize(slot string, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes[slot] = bytes
}

func (s *session) Set(ctx context.Context, slot string, v array.Value) error {
	if err := s.open(); err != nil {
		return err
	}
	if err := v.Check(); err != nil {
		return fmt.Errorf("plugins: set slot %q: %w", slot, err)
	}
	var p payload
	q := &protocol.SetRequest{Session: s.id, Slot: slot, Value: p.value(v)}
	err := s.backend.call(ctx, "set slot "+slot, &p, func(ctx context.Context, id uint64, _ *memory.Pair) error {
		q.Call = id
		_, err := s.backend.rpc.Set(ctx, q)
		return err
	})
	if err == nil {
		s.setSize(slot, v.DType.Bytes(v.Len()))
	}
	return err
}

func (s *session) Get(ctx context.Context, slot string) (array.Tensor, error) {
	if err := s.open(); err != nil {
		return array.Tensor{}, err
	}
	s.mu.Lock()
	bytes := s.sizes[slot]
	s.mu.Unlock()
	for range 2 { // a second time when the slot is larger than its known size
		t, written, err := s.get(ctx, slot, bytes)
		if err != nil || written {
			return t, err
		}
		bytes = len(t.Data)
		s.setSize(slot, bytes)
	}
	return array.Tensor{}, s.backend.client.replyError(slot, "want the slot in the %d bytes that the plugin asked for, got nothing", bytes)
}

// get returns a slot. When the slot has more than the given bytes, it returns a tensor of the
// slot's type and size, and false.
func (s *session) get(ctx context.Context, slot string, bytes int) (t array.Tensor, written bool, err error) {
	var p payload
	local, span := p.output(bytes)
	err = s.backend.call(ctx, "get slot "+slot, &p, func(ctx context.Context, id uint64, pair *memory.Pair) error {
		reply, err := s.backend.rpc.Get(ctx, &protocol.GetRequest{Call: id, Session: s.id, Slot: slot, Data: span})
		if err != nil {
			return err
		}
		if t, err = zeros(reply.GetDtype(), reply.GetDims()); err != nil {
			return s.backend.client.replyError(slot, "%w", err)
		}
		if written = reply.GetWritten(); !written {
			return nil
		}
		if len(t.Data) > bytes {
			return s.backend.client.replyError(slot, "want at most %d bytes, got %v%v", bytes, t.DType, t.Dims)
		}
		local.Bytes = len(t.Data)
		if err := pair.Receive(ctx, local); err != nil {
			return err
		}
		copy(t.Data, pair.Out(local))
		return nil
	})
	return t, written, err
}

// maxSlot is the number of elements that the host allocates for one slot at most.
const maxSlot = 1 << 36

// zeros returns a tensor of a type that a plugin sent.
func zeros(d protocol.DType, dims []int64) (array.Tensor, error) {
	dtype, err := dtypeOf(d)
	if err != nil {
		return array.Tensor{}, err
	}
	n := int64(1)
	for _, d := range dims {
		if d < 1 || n > maxSlot/d {
			return array.Tensor{}, fmt.Errorf("want dims of 1 or more and at most %d elements, got %v", maxSlot, dims)
		}
		n *= d
	}
	return array.New(dtype, dimsOf(dims)...)
}

func (s *session) Compile(ctx context.Context, program *graph.Program, o backends.Options) (backends.Executable, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if program == nil {
		return nil, errors.New("plugins: compile: program is nil")
	}
	if o.MemoryLimit < 0 {
		return nil, fmt.Errorf("plugins: compile: Options.MemoryLimit: want 0 or more, got %d", o.MemoryLimit)
	}
	code, err := program.Encode()
	if err != nil {
		return nil, fmt.Errorf("plugins: compile: %w", err)
	}
	var p payload
	q := &protocol.CompileRequest{Session: s.id, Program: code, Pin: planMessage(o.Pin), MemoryLimit: o.MemoryLimit}
	for _, slot := range slices.Sorted(maps.Keys(o.Const)) {
		if err := o.Const[slot].Check(); err != nil {
			return nil, fmt.Errorf("plugins: compile: constant %q: %w", slot, err)
		}
		q.Constants = append(q.Constants, &protocol.Constant{Slot: slot, Value: p.value(o.Const[slot])})
	}
	var reply *protocol.CompileReply
	err = s.backend.call(ctx, "compile", &p, func(ctx context.Context, id uint64, _ *memory.Pair) error {
		q.Call = id
		reply, err = s.backend.rpc.Compile(ctx, q)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case reply.GetUnsupported() != nil:
		return nil, unsupportedError(reply.GetUnsupported())
	case reply.GetMemoryError() != nil:
		return nil, memoryError(reply.GetMemoryError())
	}
	plan, err := planOf(reply.GetPlan())
	if err != nil {
		return nil, s.backend.client.replyError("", "%w", err)
	}
	if plan == nil {
		plan = &backends.Plan{}
	}
	for _, slot := range program.Slots {
		if dims, ok := slot.Shape.Dims(); ok {
			s.setSize(slot.Name, slot.DType.Bytes(array.Count(dims)))
		}
	}
	return &executable{session: s, id: reply.GetExecutable(), program: program, plan: plan, limit: o.MemoryLimit}, nil
}

func (s *session) Close() error {
	if !s.closed.CompareAndSwap(false, true) || s.backend.closed.Load() || s.backend.client.alive.Err() != nil {
		return nil
	}
	return unlessDied(s.backend.call(context.Background(), "close session", &payload{}, func(ctx context.Context, _ uint64, _ *memory.Pair) error {
		_, err := s.backend.rpc.CloseSession(ctx, &protocol.CloseSessionRequest{Session: s.id})
		return err
	}))
}

// unlessDied returns err, and nil if the plugin has died: nothing is left to close then.
func unlessDied(err error) error {
	if died := (*DiedError)(nil); errors.As(err, &died) {
		return nil
	}
	return err
}

// An executable is an executable in the plugin.
type executable struct {
	session *session
	id      uint64
	program *graph.Program
	plan    *backends.Plan
	limit   int64 // backends.Options.MemoryLimit
	closed  atomic.Bool
}

func (e *executable) Plan() *backends.Plan {
	p := *e.plan
	p.Choices = slices.Clone(p.Choices)
	for i := range p.Choices {
		p.Choices[i].Times = slices.Clone(p.Choices[i].Times)
	}
	return &p
}

func (e *executable) Run(ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
	if e.closed.Load() {
		return nil, closedError(e.session.backend.client.command.Path)
	}
	if err := e.session.open(); err != nil {
		return nil, err
	}
	sizes, err := e.program.Bind(in)
	if err != nil {
		return nil, fmt.Errorf("plugins: run: %w", err)
	}
	if err := e.checkOutputs(sizes); err != nil {
		return nil, err
	}
	if out, err = e.program.BindOutputs(sizes, out); err != nil {
		return nil, fmt.Errorf("plugins: run: %w", err)
	}
	var p payload
	q := &protocol.RunRequest{Executable: e.id}
	for _, t := range in {
		q.Inputs = append(q.Inputs, p.tensor(t))
	}
	spans := make([]memory.Span, len(out))
	for i, t := range out {
		m := &protocol.Tensor{Dtype: protocol.DType(t.DType), Dims: dimsMessage(t.Dims)}
		spans[i], m.Data = p.output(len(t.Data))
		q.Outputs = append(q.Outputs, m)
	}
	var reply *protocol.RunReply
	err = e.session.backend.call(ctx, "run", &p, func(ctx context.Context, id uint64, pair *memory.Pair) error {
		q.Call = id
		var err error
		if reply, err = e.session.backend.rpc.Run(ctx, q); err != nil || reply.GetMemoryError() != nil {
			return err
		}
		if err := pair.Receive(ctx, spans...); err != nil {
			return err
		}
		for i, s := range spans {
			copy(out[i].Data, pair.Out(s))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if m := reply.GetMemoryError(); m != nil {
		return nil, memoryError(m)
	}
	return out, nil
}

// checkOutputs returns a MemoryError when the outputs of a run exceed the memory limit. The host
// allocates them before the plugin can check the limit.
func (e *executable) checkOutputs(sizes graph.Sizes) error {
	if e.limit == 0 {
		return nil
	}
	total := int64(0)
	for _, o := range e.program.Outputs {
		t := e.program.Types[o.ID]
		dims, err := t.Shape.Bind(sizes)
		if err != nil {
			return fmt.Errorf("plugins: run: output %q: %w", o.Name, err)
		}
		total += min(int64(t.DType.Bytes(array.Count(dims))), math.MaxInt64-total)
		if total > e.limit {
			what := fmt.Sprintf("the outputs of a run up to %q %v%v", o.Name, t.DType, dims)
			return &backends.MemoryError{Backend: e.session.backend.info.Backend.Name, What: what, Want: total, Limit: e.limit}
		}
	}
	return nil
}

func (e *executable) Close() error {
	b := e.session.backend
	if !e.closed.CompareAndSwap(false, true) || e.session.closed.Load() || b.closed.Load() || b.client.alive.Err() != nil {
		return nil
	}
	return unlessDied(b.call(context.Background(), "close executable", &payload{}, func(ctx context.Context, _ uint64, _ *memory.Pair) error {
		_, err := b.rpc.CloseExecutable(ctx, &protocol.CloseExecutableRequest{Executable: e.id})
		return err
	}))
}
