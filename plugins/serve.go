package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/compress"
)

// A Plugin is what a program serves: a compressor, a backend or both.
type Plugin struct {
	Name, Version string // for people

	Compressor       compress.Compressor
	Values           bool             // its answers may hold new values; otherwise they are masks alone
	Pattern          compress.Pattern // every mask keeps N of each M along the axis that the answer names; zero: no such promise
	Nondeterministic bool             // equal weights may give different answers; training then does not resume bit for bit

	Backend backends.Backend
}

// Serve is the whole of a plugin's main. It serves p until the host has gone or wants it to end, and then exits the process; a
// program that no host started says what it is and exits with status 2. Standard input belongs to the host; standard output and
// standard error go to its log.
func Serve(p Plugin) {
	if err := serve(p); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(2)
	}
	os.Exit(0)
}

func serve(p Plugin) error {
	if p.Compressor == nil && p.Backend == nil {
		return errors.New("plugins: Serve: the plugin has neither Compressor nor Backend")
	}
	if c, ok := p.Compressor.(interface{ Check() error }); ok {
		if err := c.Check(); err != nil {
			return fmt.Errorf("plugins: Serve: %w", err)
		}
	}
	if os.Getenv(handshake.MagicCookieKey) != handshake.MagicCookieValue {
		return fmt.Errorf("this is the cram plugin %s %s and is started by cram: cram plugin info %s", p.Name, p.Version, os.Args[0])
	}
	s := &server{plugin: p, calls: newCalls(), streamed: memory.FromStream()}
	s.attach(gone)
	stdout, stderr := os.Stdout, os.Stderr
	var restore sync.Once
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: set(services{register: s.register}),
		Logger:           hclog.New(&hclog.LoggerOptions{Output: stderr, Level: hclog.Warn}),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxMessage), grpc.ChainUnaryInterceptor(
				func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
					// Go-plugin reroutes both through gRPC, which loses the last words of a plugin that dies.
					restore.Do(func() { os.Stdout, os.Stderr = stdout, stderr })
					return next(ctx, q)
				}))...)
		},
	})
	if p.Backend != nil {
		return p.Backend.Close()
	}
	return nil
}

// gone ends the plugin when its host has ended, however that came, with all that it started.
func gone() {
	if folder := os.Getenv(plugin.EnvUnixSocketDir); folder != "" {
		_ = os.RemoveAll(folder)
	}
	killGroup()
	os.Exit(0)
}

// server is the plugin's side of the protocol.
type server struct {
	protocol.UnimplementedPluginServer
	plugin   Plugin
	calls    *calls
	shared   *memory.Regions // nil where the host cannot share
	streamed *memory.Regions

	mu      sync.Mutex
	regions *memory.Regions // the ones in use, from Describe on
}

// attach takes standard input, the lifeline, and the regions that may come through it.
func (s *server) attach(gone func()) {
	conn, err := net.FileConn(os.Stdin)
	socket, ok := conn.(*net.UnixConn)
	if err == nil && ok && memory.CanShare() {
		s.shared = memory.FromSocket(socket, gone)
		return
	}
	var stdin io.Reader = os.Stdin
	if err == nil {
		stdin = conn
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		gone()
	}()
}

func (s *server) register(g *grpc.Server) {
	protocol.RegisterPluginServer(g, s)
	protocol.RegisterMemoryServer(g, s.streamed)
	if s.plugin.Compressor != nil {
		protocol.RegisterCompressorServer(g, &compressorServer{server: s})
	}
	if s.plugin.Backend != nil {
		protocol.RegisterBackendServer(g, newBackendServer(s))
	}
}

// Describe says what the plugin is, and settles how memory crosses.
func (s *server) Describe(_ context.Context, q *protocol.DescribeRequest) (*protocol.Description, error) {
	d := &protocol.Description{Name: s.plugin.Name, Version: s.plugin.Version}
	s.mu.Lock()
	s.regions = s.streamed
	if q.GetSharedMemory() && s.shared != nil {
		s.regions, d.SharedMemory = s.shared, true
	}
	s.mu.Unlock()
	if c := s.plugin.Compressor; c != nil {
		d.Compressor = &protocol.CompressorDescription{
			Name: c.String(), Deterministic: !s.plugin.Nondeterministic, Values: s.plugin.Values,
		}
		if p := s.plugin.Pattern; p != (compress.Pattern{}) {
			d.Compressor.Pattern = &protocol.Pattern{N: int64(p.N), M: int64(p.M)}
		}
	}
	if b := s.plugin.Backend; b != nil {
		info := b.Info()
		d.Backend = &protocol.BackendDescription{Name: info.Name, Level: info.InstructionSet, Deterministic: info.Deterministic, Threads: int64(info.Threads)}
		if lister, ok := b.(backends.Lister); ok {
			for _, op := range lister.Ops() {
				d.Backend.Ops = append(d.Backend.Ops, string(op))
			}
		}
	}
	return d, nil
}

func (s *server) Cancel(_ context.Context, q *protocol.CancelRequest) (*protocol.CancelReply, error) {
	s.calls.cancel(q.GetCall())
	return &protocol.CancelReply{}, nil
}

func (s *server) Drain(ctx context.Context, _ *protocol.DrainRequest) (*protocol.DrainReply, error) {
	if err := s.calls.drain(ctx); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	return &protocol.DrainReply{}, nil
}

// begin opens a call: a context that Cancel ends, the regions, and what to do at the end.
func (s *server) begin(call uint64) (context.Context, *memory.Regions, func(), error) {
	s.mu.Lock()
	regions := s.regions
	s.mu.Unlock()
	if regions == nil {
		return nil, nil, nil, status.Error(codes.FailedPrecondition, "Describe must be the first call")
	}
	ctx, end, err := s.calls.begin(call)
	if err != nil {
		return nil, nil, nil, err
	}
	leave := regions.Enter()
	return ctx, regions, func() { leave(); end() }, nil
}

// failed gives an error of ours the status that the host understands.
func failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, backends.ErrLost):
		return status.Error(codes.DataLoss, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, backends.ErrClosed):
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return status.Error(codes.InvalidArgument, err.Error())
}
