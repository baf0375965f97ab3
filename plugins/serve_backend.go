package plugins

import (
	"context"
	"errors"
	"fmt"

	"github.com/compressaware/cram/backends"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A backendServer serves a backend.
type backendServer struct {
	protocol.UnimplementedBackendServer
	*server
	sessions    table[backends.Session]
	executables table[servedExecutable]
}

// A servedExecutable is an executable of a session.
type servedExecutable struct {
	backends.Executable
	session uint64 // number of the session
	limited bool   // it was compiled with a memory limit
}

func newBackendServer(s *server) *backendServer {
	return &backendServer{
		server:      s,
		sessions:    table[backends.Session]{kind: "session", objects: map[uint64]backends.Session{}},
		executables: table[servedExecutable]{kind: "executable", objects: map[uint64]servedExecutable{}},
	}
}

// handle handles one call about a session or an executable.
func handle[T, Reply any](
	s *backendServer, rpc context.Context, id uint64, objects *table[T], object uint64, f func(*call, T) (*Reply, error),
) (*Reply, error) {
	x, err := objects.get(object)
	if err != nil {
		return nil, err
	}
	c, err := s.startCall(rpc, id)
	if err != nil {
		return nil, err
	}
	defer c.end()
	reply, err := f(c, x)
	if err != nil {
		return nil, statusError(err)
	}
	return reply, nil
}

func (s *backendServer) OpenSession(rpc context.Context, q *protocol.OpenSessionRequest) (*protocol.OpenSessionReply, error) {
	c, err := s.startCall(rpc, q.GetCall())
	if err != nil {
		return nil, err
	}
	defer c.end()
	session, err := s.plugin.Backend.NewSession(c.ctx)
	if err != nil {
		return nil, statusError(err)
	}
	return &protocol.OpenSessionReply{Session: s.sessions.add(session)}, nil
}

func (s *backendServer) CloseSession(_ context.Context, q *protocol.CloseSessionRequest) (*protocol.CloseSessionReply, error) {
	session, err := s.sessions.remove(q.GetSession())
	if err != nil {
		return nil, err
	}
	s.executables.removeAll(func(e servedExecutable) bool { return e.session == q.GetSession() })
	return &protocol.CloseSessionReply{}, statusError(session.Close())
}

func (s *backendServer) CloseExecutable(_ context.Context, q *protocol.CloseExecutableRequest) (*protocol.CloseExecutableReply, error) {
	executable, err := s.executables.remove(q.GetExecutable())
	if err != nil {
		return nil, err
	}
	return &protocol.CloseExecutableReply{}, statusError(executable.Close())
}

func (s *backendServer) Set(rpc context.Context, q *protocol.SetRequest) (*protocol.SetReply, error) {
	return handle(s, rpc, q.GetCall(), &s.sessions, q.GetSession(), func(c *call, in backends.Session) (*protocol.SetReply, error) {
		v, err := valueOf(c.rpc, c.regions, q.GetValue())
		if err != nil {
			return nil, err
		}
		return &protocol.SetReply{}, in.Set(c.ctx, q.GetSlot(), v)
	})
}

func (s *backendServer) Get(rpc context.Context, q *protocol.GetRequest) (*protocol.GetReply, error) {
	return handle(s, rpc, q.GetCall(), &s.sessions, q.GetSession(), func(c *call, in backends.Session) (*protocol.GetReply, error) {
		t, err := in.Get(c.ctx, q.GetSlot())
		if err != nil {
			return nil, err
		}
		reply := &protocol.GetReply{Dtype: protocol.DType(t.DType), Dims: dimsMessage(t.Dims)}
		if q.GetData().GetBytes() < uint64(len(t.Data)) {
			return reply, nil
		}
		out, err := c.regions.Out(c.rpc, q.GetData())
		if err != nil {
			return nil, err
		}
		copy(out, t.Data)
		reply.Written = true
		return reply, nil
	})
}

func (s *backendServer) Compile(rpc context.Context, q *protocol.CompileRequest) (*protocol.CompileReply, error) {
	return handle(s, rpc, q.GetCall(), &s.sessions, q.GetSession(), func(c *call, in backends.Session) (*protocol.CompileReply, error) {
		program, err := graph.Decode(q.GetProgram())
		if err != nil {
			return nil, err
		}
		o := backends.Options{MemoryLimit: q.GetMemoryLimit()}
		if o.Pin, err = planOf(q.GetPin()); err != nil {
			return nil, err
		}
		for _, m := range q.GetConstants() {
			v, err := valueOf(c.rpc, c.regions, m.GetValue())
			if err != nil {
				return nil, fmt.Errorf("constant %q: %w", m.GetSlot(), err)
			}
			if o.Const == nil {
				o.Const = map[string]array.Value{}
			}
			o.Const[m.GetSlot()] = v
		}
		executable, err := in.Compile(c.ctx, program, o)
		if lacks := (*backends.UnsupportedError)(nil); errors.As(err, &lacks) {
			return &protocol.CompileReply{Unsupported: &protocol.UnsupportedOps{Backend: lacks.Backend, Missing: lacks.Missing}}, nil
		}
		if memory := (*backends.MemoryError)(nil); errors.As(err, &memory) && o.MemoryLimit > 0 {
			return &protocol.CompileReply{MemoryError: memoryErrorMessage(memory)}, nil
		}
		if err != nil {
			return nil, err
		}
		id := s.executables.add(servedExecutable{executable, q.GetSession(), o.MemoryLimit > 0})
		return &protocol.CompileReply{Executable: id, Plan: planMessage(executable.Plan())}, nil
	})
}

func (s *backendServer) Run(rpc context.Context, q *protocol.RunRequest) (*protocol.RunReply, error) {
	return handle(s, rpc, q.GetCall(), &s.executables, q.GetExecutable(), func(c *call, e servedExecutable) (*protocol.RunReply, error) {
		in, out := make([]array.Tensor, len(q.GetInputs())), make([]array.Tensor, len(q.GetOutputs()))
		var err error
		for i, m := range q.GetInputs() {
			if in[i], err = tensorOf(c.rpc, c.regions.In, m); err != nil {
				return nil, fmt.Errorf("input %d: %w", i, err)
			}
		}
		for i, m := range q.GetOutputs() {
			if out[i], err = tensorOf(c.rpc, c.regions.Out, m); err != nil {
				return nil, fmt.Errorf("output %d: %w", i, err)
			}
		}
		got, err := e.Run(c.ctx, in, out)
		if err == nil {
			if err = checkOutputs(got, out); err != nil {
				return nil, fmt.Errorf("%w: %w", backends.ErrLost, err) // the run has updated slots
			}
		}
		if memory := (*backends.MemoryError)(nil); errors.As(err, &memory) && e.limited {
			return &protocol.RunReply{MemoryError: memoryErrorMessage(memory)}, nil
		}
		return &protocol.RunReply{}, err
	})
}

// checkOutputs returns an error unless the result of a run is the tensors of the call. Others do not
// reach the host.
func checkOutputs(got, out []array.Tensor) error {
	if len(got) != len(out) {
		return fmt.Errorf("want the %d outputs of the call, got %d", len(out), len(got))
	}
	for i, t := range got {
		if cause := shapeFault(fmt.Sprintf("output %d", i), t, out[i].DType, out[i].Dims); cause != "" {
			return errors.New(cause)
		}
		if &t.Data[0] != &out[i].Data[0] { // a tensor without a fault has at least one byte
			return fmt.Errorf("output %d: want the tensor of the call, got another: Run writes to the tensors of out", i)
		}
	}
	return nil
}
