package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins/internal/memory"
	"github.com/compressaware/cram/plugins/internal/process"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// A link is one plugin process and the connection to it, from its start to its end.
type link struct {
	command Command
	process *process.Process
	client  *plugin.Client
	folder  string // of the socket
	conn    *grpc.ClientConn
	plugin  protocol.PluginClient
	about   *protocol.Description
	memory  *memory.Host

	alive  context.Context // ends with the process
	ended  context.CancelFunc
	calls  atomic.Uint64
	beats  sync.WaitGroup
	using  sync.RWMutex           // read-locked by calls under way
	killed atomic.Pointer[string] // why the host killed it
}

// launch fills in a command, starts its plugin, and checks what it says of itself.
func launch(ctx context.Context, c Command) (*link, Info, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, Info{}, err
	}
	l, err := connect(ctx, c)
	if err != nil {
		return nil, Info{}, err
	}
	info, err := parse(l.about)
	if err != nil {
		l.close()
		return nil, Info{}, &ReplyError{Plugin: c.Path, Err: err}
	}
	return l, info, nil
}

// connect starts a plugin and asks it what it is.
func connect(ctx context.Context, c Command) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &link{command: c}
	var err error
	if l.process, err = process.New(c.spec()); err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	l.alive, l.ended = context.WithCancel(context.Background())
	go func() {
		<-l.process.Exited()
		l.ended()
	}()
	start, stop := context.WithTimeoutCause(ctx, c.StartTimeout, fmt.Errorf("it was not ready within %v (Command.StartTimeout)", c.StartTimeout))
	defer stop()
	defer context.AfterFunc(start, l.process.Destroy)()
	if err := l.begin(start); err != nil {
		why := context.Cause(start)
		l.end()
		if why != nil {
			return nil, fmt.Errorf("plugins: %s: start: %w", c.Path, why)
		}
		if died := (*DiedError)(nil); errors.As(err, &died) {
			return nil, died
		}
		return nil, fmt.Errorf("plugins: %s: start: %w", c.Path, err)
	}
	l.beats.Go(l.heartbeat)
	c.Log.Debug("plugin started", "plugin", c.Path, "name", l.about.GetName(), "version", l.about.GetVersion())
	return l, nil
}

// begin takes the process from New to the answer of Describe.
func (l *link) begin(ctx context.Context) error {
	config := &plugin.ClientConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: set(services{}),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:      true,
		StartTimeout:     l.command.StartTimeout,
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       io.Discard, // Serve gives both back to the process
		SyncStderr:       io.Discard,
		GRPCDialOptions:  []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage))},
	}
	var certificate []byte
	if !l.command.Insecure {
		var err error
		if config.TLSConfig, certificate, err = identity(); err != nil {
			return err
		}
	}
	config.RunnerFunc = func(_ hclog.Logger, cmd *exec.Cmd, folder string) (runner.Runner, error) {
		l.folder = folder
		env := cmd.Env
		if certificate != nil {
			env = append(env, "PLUGIN_CLIENT_CERT="+string(certificate))
		}
		return l.process.Runner(env), nil
	}
	l.client = plugin.NewClient(config)
	conn, err := dial(l.client)
	if err != nil {
		return l.explain(err)
	}
	l.conn, l.plugin = conn, protocol.NewPluginClient(conn)
	offer := !l.command.Stream && memory.CanShare() && l.process.Socket() != nil
	if l.about, err = l.plugin.Describe(ctx, &protocol.DescribeRequest{SharedMemory: offer}); err != nil {
		return l.explain(err)
	}
	switch {
	case l.about.GetCompressor() == nil && l.about.GetBackend() == nil:
		return errors.New("it says that it is neither a compressor nor a backend")
	case !l.about.GetSharedMemory():
		l.memory = memory.Streamed(protocol.NewMemoryClient(conn))
	case !offer:
		return errors.New("it says that it takes shared memory, which it was not offered")
	default:
		l.memory = memory.Shared(l.process.Socket())
	}
	return nil
}

// dial returns the connection to a client's process. Go-plugin dereferences nil when a plugin brings a certificate although nobody
// asked for one; that, and whatever else a handshake line provokes, becomes an error here.
func dial(client *plugin.Client) (conn *grpc.ClientConn, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("its handshake makes no sense: %v", r)
		}
	}()
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense("cram")
	if err != nil {
		return nil, err
	}
	return raw.(*grpc.ClientConn), nil
}

// explain says why there is no answer yet. A process that has ended says more than its connection.
func (l *link) explain(err error) error {
	select {
	case <-l.process.Exited():
		return l.died("start")
	case <-time.After(100 * time.Millisecond):
	}
	switch {
	case status.Code(err) == codes.Unavailable && !l.command.Insecure:
		return fmt.Errorf("no connection with mutual TLS: %s; a plugin without it needs Command.Insecure", message(err))
	case status.Code(err) == codes.Unimplemented:
		return fmt.Errorf("it does not serve version %d of the protocol: %s", version, message(err))
	}
	return quoted{err}
}

// heartbeat kills a plugin that leaves a health check unanswered, until the process ends.
func (l *link) heartbeat() {
	health := grpc_health_v1.NewHealthClient(l.conn)
	between := time.NewTicker(max(l.command.Heartbeat/4, time.Millisecond))
	defer between.Stop()
	for {
		select {
		case <-between.C:
		case <-l.alive.Done():
			return
		}
		ctx, cancel := context.WithTimeout(l.alive, l.command.Heartbeat)
		_, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
		cancel()
		if err != nil && l.alive.Err() == nil {
			l.kill(fmt.Sprintf("a health check was not answered within %v (Command.Heartbeat): %s", l.command.Heartbeat, message(err)))
		}
	}
}

// kill ends the process for a reason, of which the first is kept.
func (l *link) kill(why string) {
	l.killed.CompareAndSwap(nil, &why)
	l.process.Destroy()
}

// call runs one remote call and returns what it came to: nil, the caller's context's error, what the plugin said, or a *DiedError.
//
// The call itself does not end with ctx, because only the plugin knows whether it was in time to stop: a cancelled call is asked to
// end, waited for, and killed with its plugin when it does not.
func (l *link) call(ctx context.Context, what string, remote func(ctx context.Context, call uint64) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.using.RLock()
	defer l.using.RUnlock()
	id, done := l.calls.Add(1), make(chan struct{})
	defer close(done)
	defer context.AfterFunc(ctx, func() { l.cancel(what, id, done) })()
	late := time.AfterFunc(l.command.CallTimeout, func() {
		l.kill(fmt.Sprintf("no answer within %v (Command.CallTimeout)", l.command.CallTimeout))
	})
	defer late.Stop()
	err := remote(l.alive, id)
	_, remotely := status.FromError(err)
	switch code := status.Code(err); {
	case err == nil:
		return nil
	case l.alive.Err() != nil || code == codes.Unavailable:
		return l.died(what)
	case code == codes.Canceled && ctx.Err() != nil:
		return fmt.Errorf("plugins: %s: %s: %w", l.command.Path, what, ctx.Err())
	case code == codes.DataLoss:
		return fmt.Errorf("plugins: %s: %s: %w: %s", l.command.Path, what, backends.ErrLost, message(err))
	case !remotely: // an error of the host's own
		return err
	default:
		return fmt.Errorf("plugins: %s: %s: %s", l.command.Path, what, message(err))
	}
}

// cancel asks a call to end and kills the plugin when it does not.
func (l *link) cancel(what string, call uint64, done <-chan struct{}) {
	ctx, stop := context.WithTimeout(l.alive, l.command.StopTimeout)
	defer stop()
	_, _ = l.plugin.Cancel(ctx, &protocol.CancelRequest{Call: call}) // a plugin that cannot is waited for
	select {
	case <-done:
	case <-ctx.Done():
		if l.alive.Err() == nil {
			l.kill(fmt.Sprintf("%s was cancelled and did not end within %v (Command.StopTimeout)", what, l.command.StopTimeout))
		}
	}
}

// died says how the process ended, once it has. A connection that broke is the end of it, too.
func (l *link) died(call string) error {
	select {
	case <-l.process.Exited():
	case <-time.After(500 * time.Millisecond): // the connection ends a little before the process
		l.kill("its connection broke")
	}
	e := &DiedError{Plugin: l.command.Path, Call: call, State: l.process.State(), Output: l.process.Tail()}
	if why := l.killed.Load(); why != nil {
		e.Killed = *why
	}
	if l.about.GetBackend() != nil {
		e.lost = backends.ErrLost
	}
	return e
}

// close lets the calls under way end, then the process.
func (l *link) close() {
	if l.alive.Err() == nil {
		ctx, stop := context.WithTimeout(l.alive, l.command.StopTimeout)
		_, err := l.plugin.Drain(ctx, &protocol.DrainRequest{})
		stop()
		if err == nil || status.Code(err) == codes.Unimplemented {
			l.settle()
			l.leave()
		}
	}
	l.end()
}

// settle waits a little until the answers of the calls that ended have arrived.
func (l *link) settle() {
	settled := make(chan struct{})
	go func() {
		l.using.Lock() // at the latest when the process has ended
		defer l.using.Unlock()
		close(settled)
	}()
	select {
	case <-settled:
	case <-time.After(l.command.StopTimeout):
	}
}

// leave closes the process's standard input, at which it exits, and waits for that a little.
func (l *link) leave() {
	socket := l.process.Socket()
	if socket == nil {
		return
	}
	_ = socket.Close()
	select {
	case <-l.process.Exited():
	case <-time.After(l.command.StopTimeout):
	}
}

// end leaves nothing of the plugin, whatever state it is in.
func (l *link) end() {
	l.process.Destroy()
	if l.client != nil {
		l.client.Kill()
	}
	if l.conn != nil {
		_ = l.conn.Close()
	}
	if l.memory != nil {
		_ = l.memory.Close()
	}
	if l.folder != "" {
		_ = os.RemoveAll(l.folder)
	}
	l.beats.Wait()
	l.command.Log.Debug("plugin ended", "plugin", l.command.Path, "state", l.process.State())
}
