package plugins

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// backendServer numbers the sessions and executables of a backend.
type backendServer struct {
	protocol.UnimplementedBackendServer
	*server

	mu          sync.Mutex
	last        uint64
	sessions    map[uint64]backends.Session
	executables map[uint64]backends.Executable
}

func newBackendServer(s *server) *backendServer {
	return &backendServer{server: s, sessions: map[uint64]backends.Session{}, executables: map[uint64]backends.Executable{}}
}

// add numbers a thing, take finds it, drop forgets it.

func add[T any](s *backendServer, things map[uint64]T, thing T) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	things[s.last] = thing
	return s.last
}

func take[T any](s *backendServer, things map[uint64]T, what string, id uint64) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	thing, ok := things[id]
	if !ok {
		return thing, status.Errorf(codes.NotFound, "no %s %d here", what, id)
	}
	return thing, nil
}

func drop[T any](s *backendServer, things map[uint64]T, what string, id uint64) (T, error) {
	thing, err := take(s, things, what, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(things, id)
	return thing, err
}

func (s *backendServer) OpenSession(_ context.Context, q *protocol.OpenSessionRequest) (*protocol.OpenSessionReply, error) {
	ctx, _, end, err := s.begin(q.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	session, err := s.plugin.Backend.NewSession(ctx)
	if err != nil {
		return nil, failed(err)
	}
	return &protocol.OpenSessionReply{Session: add(s, s.sessions, session)}, nil
}

func (s *backendServer) CloseSession(_ context.Context, q *protocol.CloseSessionRequest) (*protocol.CloseSessionReply, error) {
	session, err := drop(s, s.sessions, "session", q.GetSession())
	if err != nil {
		return nil, err
	}
	return &protocol.CloseSessionReply{}, failed(session.Close())
}

func (s *backendServer) CloseExecutable(_ context.Context, q *protocol.CloseExecutableRequest) (*protocol.CloseExecutableReply, error) {
	executable, err := drop(s, s.executables, "executable", q.GetExecutable())
	if err != nil {
		return nil, err
	}
	return &protocol.CloseExecutableReply{}, failed(executable.Close())
}

func (s *backendServer) Set(wait context.Context, q *protocol.SetRequest) (*protocol.SetReply, error) {
	session, err := take(s, s.sessions, "session", q.GetSession())
	if err != nil {
		return nil, err
	}
	ctx, regions, end, err := s.begin(q.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	v, err := value(wait, regions, q.GetValue())
	if err != nil {
		return nil, failed(err)
	}
	return &protocol.SetReply{}, failed(session.Set(ctx, q.GetSlot(), v))
}

// value returns what a message describes, sharing the memory of its region. Nobody has checked it.
func value(ctx context.Context, regions *memory.Regions, m *protocol.Value) (array.Value, error) {
	if e := m.GetEncoding(); e < 0 || e > 255 {
		return array.Value{}, fmt.Errorf("unknown encoding %d", e)
	}
	if d := m.GetDtype(); d < 0 || d > 255 {
		return array.Value{}, fmt.Errorf("unknown element type %d", d)
	}
	values, err := regions.In(ctx, m.GetValues())
	if err != nil {
		return array.Value{}, err
	}
	index, err := regions.In(ctx, m.GetIndex())
	if err != nil {
		return array.Value{}, err
	}
	return array.Value{
		Encoding: array.Encoding(m.GetEncoding()), DType: array.DType(m.GetDtype()), Dims: undims(m.GetDims()), Values: values, Index: index,
		N: int(m.GetN()), M: int(m.GetM()), Axis: int(m.GetAxis()),
	}, nil
}

func (s *backendServer) Get(wait context.Context, q *protocol.GetRequest) (*protocol.GetReply, error) {
	session, err := take(s, s.sessions, "session", q.GetSession())
	if err != nil {
		return nil, err
	}
	ctx, regions, end, err := s.begin(q.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	t, err := session.Get(ctx, q.GetSlot())
	if err != nil {
		return nil, failed(err)
	}
	reply := &protocol.GetReply{Dtype: protocol.DType(t.DType), Dims: dims(t.Dims)}
	if int(q.GetRoom().GetBytes()) < len(t.Data) {
		return reply, nil
	}
	room, err := regions.Out(wait, q.GetRoom())
	if err != nil {
		return nil, failed(err)
	}
	copy(room, t.Data)
	reply.Written = true
	return reply, nil
}

func (s *backendServer) Compile(wait context.Context, q *protocol.CompileRequest) (*protocol.CompileReply, error) {
	session, err := take(s, s.sessions, "session", q.GetSession())
	if err != nil {
		return nil, err
	}
	ctx, regions, end, err := s.begin(q.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	program, err := graph.Decode(q.GetProgram())
	if err != nil {
		return nil, failed(err)
	}
	var o backends.Options
	if q.GetPinned() {
		o.Pin = planOf(q.GetPin())
	}
	for _, c := range q.GetConstants() {
		if o.Const == nil {
			o.Const = map[string]array.Value{}
		}
		if o.Const[c.GetSlot()], err = value(wait, regions, c.GetValue()); err != nil {
			return nil, failed(fmt.Errorf("constant %q: %w", c.GetSlot(), err))
		}
	}
	executable, err := session.Compile(ctx, program, o)
	if lacks := (*backends.UnsupportedError)(nil); errors.As(err, &lacks) {
		return &protocol.CompileReply{Unsupported: &protocol.UnsupportedOps{Backend: lacks.Backend, Missing: lacks.Missing}}, nil
	}
	if err != nil {
		return nil, failed(err)
	}
	return &protocol.CompileReply{Executable: add(s, s.executables, executable), Plan: kernels(executable.Plan())}, nil
}

func (s *backendServer) Run(wait context.Context, q *protocol.RunRequest) (*protocol.RunReply, error) {
	executable, err := take(s, s.executables, "executable", q.GetExecutable())
	if err != nil {
		return nil, err
	}
	ctx, regions, end, err := s.begin(q.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	in, out := make([]array.Tensor, len(q.GetInputs())), make([]array.Tensor, len(q.GetOutputs()))
	for i, m := range q.GetInputs() {
		if in[i], err = tensor(wait, regions.In, m); err != nil {
			return nil, failed(fmt.Errorf("input %d: %w", i, err))
		}
	}
	for i, m := range q.GetOutputs() {
		if out[i], err = tensor(wait, regions.Out, m); err != nil {
			return nil, failed(fmt.Errorf("output %d: %w", i, err))
		}
	}
	if _, err := executable.Run(ctx, in, out); err != nil {
		return nil, failed(err)
	}
	return &protocol.RunReply{}, nil
}
