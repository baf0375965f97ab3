package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
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
	// Name and Version are what users see.
	Name, Version string

	// Compressor is the compressor to serve. nil means none. When it is a [compress.MomentUser],
	// the plugin declares that.
	Compressor compress.Compressor
	// Values declares that results can have new values. When it is false, results only have masks.
	Values bool
	// Pattern declares that all masks keep N of each M, along the axis that each result states. The
	// zero value declares nothing.
	Pattern compress.Pattern
	// Nondeterministic declares that equal weights can give different results. A resumed training
	// then differs from an uninterrupted one.
	Nondeterministic bool

	// Backend is the backend to serve. nil means none.
	Backend backends.Backend
}

// Serve is the main function of a plugin. It serves p until the host ends or closes the plugin, and
// then exits the process. A program that was not started by a host prints what it is and exits with
// status 2. The host uses standard input, and logs standard output and standard error. Before Serve
// the program must not write to standard output, because its first line is the handshake with the
// host.
func Serve(p Plugin) {
	if err := serve(p); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(2)
	}
	os.Exit(0)
}

func serve(p Plugin) error {
	if p.Compressor == nil && p.Backend == nil {
		return errors.New("plugins: Serve: want a Compressor or a Backend in the Plugin, got neither")
	}
	if p.Name == "" {
		return errors.New("plugins: Serve: want a name in Plugin.Name, got none")
	}
	if c, ok := p.Compressor.(interface{ Check() error }); ok {
		if err := c.Check(); err != nil {
			return fmt.Errorf("plugins: Serve: %w", err)
		}
	}
	if os.Getenv(handshake.MagicCookieKey) != handshake.MagicCookieValue {
		return fmt.Errorf("this is the cram plugin %s %s and is started by cram: cram plugin info %s", p.Name, p.Version, commandText(os.Args))
	}
	s := newServer(p)
	parent := os.Getppid()
	s.readStdin(func(why error) { exit(why, s.calls.isDraining() && os.Getppid() == parent) })
	stdout, stderr := os.Stdout, os.Stderr
	var restore sync.Once
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: versions(services{register: s.register}),
		Logger:           hclog.New(&hclog.LoggerOptions{Output: stderr, Level: hclog.Warn}),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxMessage), grpc.ChainUnaryInterceptor(
				func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
					// Go-plugin redirects both through gRPC, which loses the last lines of a plugin
					// that dies.
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

// commandText returns the command line of a program as the argument of a cram command, for a shell.
func commandText(args []string) string {
	text := args[0]
	if len(args) > 1 {
		text += "?" + strings.Join(args[1:], "&")
	}
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_-+:@%,=") != "" {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return text
}

// exit ends the plugin. A host that closes it kills the processes that the plugin started. When the
// host has ended, exit kills them and itself.
func exit(why error, closed bool) {
	if why != io.EOF {
		fmt.Fprintln(os.Stderr, "cram plugin: standard input:", why)
	}
	if dir := os.Getenv(plugin.EnvUnixSocketDir); dir != "" {
		_ = os.RemoveAll(dir)
	}
	if !closed {
		killGroup()
	}
	os.Exit(0)
}

// A server is the plugin's side of the protocol.
type server struct {
	protocol.UnimplementedPluginServer
	plugin   Plugin
	calls    *runningCalls
	shared   *memory.Regions // nil: the host cannot share memory
	streamed *memory.Regions

	mu      sync.Mutex
	regions *memory.Regions // shared or streamed; nil before Describe
}

func newServer(p Plugin) *server {
	return &server{plugin: p, calls: newRunningCalls(), streamed: memory.FromStream()}
}

// readStdin reads regions from standard input, if it is a socket, until its end. Then it calls
// ended.
func (s *server) readStdin(ended func(error)) {
	conn, err := net.FileConn(os.Stdin)
	socket, ok := conn.(*net.UnixConn)
	if err == nil && ok && memory.CanShare() {
		s.shared = memory.FromSocket(socket, ended)
		return
	}
	var stdin io.Reader = os.Stdin
	if err == nil {
		stdin = conn
	}
	go func() {
		_, err := io.Copy(io.Discard, stdin)
		if err == nil {
			err = io.EOF
		}
		ended(err)
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

// Describe returns the description of the plugin and decides how tensors cross.
func (s *server) Describe(_ context.Context, q *protocol.DescribeRequest) (*protocol.Description, error) {
	d := &protocol.Description{Name: s.plugin.Name, Version: s.plugin.Version}
	s.mu.Lock()
	s.regions = s.streamed
	if q.GetSharedMemory() && s.shared != nil {
		s.regions, d.SharedMemory = s.shared, true
	}
	s.mu.Unlock()
	if c := s.plugin.Compressor; c != nil {
		user, ok := c.(compress.MomentUser)
		d.Compressor = &protocol.CompressorDescription{
			Name: c.String(), Deterministic: !s.plugin.Nondeterministic, Values: s.plugin.Values,
			InputMoments: ok && user.UsesInputMoments(),
		}
		if p := s.plugin.Pattern; p != (compress.Pattern{}) {
			d.Compressor.Pattern = &protocol.Pattern{N: int64(p.N), M: int64(p.M)}
		}
	}
	if b := s.plugin.Backend; b != nil {
		info := b.Info()
		d.Backend = &protocol.BackendDescription{
			Name: info.Name, InstructionSet: info.InstructionSet, Deterministic: info.Deterministic, Threads: int64(info.Threads),
		}
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

// A call is a running call of the host.
type call struct {
	ctx     context.Context // ends when the host cancels the call
	rpc     context.Context // of the gRPC call; limits the waits for regions
	regions *memory.Regions
	end     func()
}

// startCall starts a call of the host. The caller ends it.
func (s *server) startCall(rpc context.Context, id uint64) (*call, error) {
	s.mu.Lock()
	regions := s.regions
	s.mu.Unlock()
	if regions == nil {
		return nil, status.Error(codes.FailedPrecondition, "want Describe as the first call, got another call")
	}
	ctx, end, err := s.calls.start(id)
	if err != nil {
		return nil, err
	}
	endRegions := regions.StartCall()
	return &call{ctx, rpc, regions, func() { endRegions(); end() }}, nil
}

// statusError returns an error with the status that the protocol has for it.
func statusError(err error) error {
	memory := (*backends.MemoryError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, backends.ErrLost):
		return status.Error(codes.DataLoss, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, backends.ErrClosed):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.As(err, &memory):
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	return status.Error(codes.InvalidArgument, err.Error())
}
