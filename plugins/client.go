package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
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

// A client is one plugin process and the connection to it. It is not restarted.
type client struct {
	command     Command
	process     *process.Process
	goPlugin    *plugin.Client
	socketDir   string
	conn        *grpc.ClientConn
	plugin      protocol.PluginClient
	description *protocol.Description
	memory      *memory.Host

	alive     context.Context // ends with the process
	lastCall  atomic.Uint64
	heartbeat sync.WaitGroup
	running   sync.RWMutex           // read-locked by the running calls
	killed    atomic.Pointer[string] // why the host killed the process
}

// launch starts the plugin of a command and checks its description.
func launch(ctx context.Context, c Command) (*client, Info, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, Info{}, err
	}
	p, err := start(ctx, c)
	if err != nil {
		return nil, Info{}, err
	}
	info, err := infoOf(p.description)
	if err != nil {
		p.close()
		return nil, Info{}, &ReplyError{Plugin: c.Path, Err: err}
	}
	return p, info, nil
}

// start starts a plugin and gets its description.
func start(ctx context.Context, command Command) (*client, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("plugins: %s: start: %w", command.Path, err)
	}
	c := &client{command: command}
	var err error
	if c.process, err = process.New(command.spec()); err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	var ended context.CancelFunc
	c.alive, ended = context.WithCancel(context.Background())
	go func() {
		<-c.process.Exited()
		ended()
	}()
	late := fmt.Errorf("no reply within %v (Command.StartTimeout)", command.StartTimeout)
	ctx, stop := context.WithTimeoutCause(ctx, command.StartTimeout, late)
	defer stop()
	defer context.AfterFunc(ctx, c.process.Destroy)()
	if err := c.connect(ctx); err != nil {
		why := context.Cause(ctx)
		c.release()
		if why != nil {
			return nil, fmt.Errorf("plugins: %s: start: %w", command.Path, why)
		}
		if died := (*DiedError)(nil); errors.As(err, &died) {
			return nil, died
		}
		return nil, fmt.Errorf("plugins: %s: start: %w", command.Path, err)
	}
	c.heartbeat.Go(c.checkHealth)
	command.Log.Debug("plugin started", "plugin", command.Path, "name", c.description.GetName(), "version", c.description.GetVersion())
	return c, nil
}

// connect starts the process, connects to it, and calls Describe.
func (c *client) connect(ctx context.Context) error {
	config := &plugin.ClientConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: versions(services{}),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:      true,
		StartTimeout:     c.command.StartTimeout,
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       io.Discard, // package process reads both
		SyncStderr:       io.Discard,
		GRPCDialOptions:  append([]grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage))}, interceptors...),
	}
	var certificate []byte
	if !c.command.Insecure {
		var err error
		if config.TLSConfig, certificate, err = mutualTLS(); err != nil {
			return err
		}
	}
	config.RunnerFunc = func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (runner.Runner, error) {
		c.socketDir = socketDir
		env := cmd.Env
		if certificate != nil {
			env = append(env, "PLUGIN_CLIENT_CERT="+string(certificate))
		}
		return c.process.Runner(env), nil
	}
	c.goPlugin = plugin.NewClient(config)
	conn, err := dial(c.goPlugin)
	if err != nil {
		return c.startError(err)
	}
	c.conn, c.plugin = conn, protocol.NewPluginClient(conn)
	offer := !c.command.Stream && memory.CanShare() && c.process.Socket() != nil
	if c.description, err = c.plugin.Describe(ctx, &protocol.DescribeRequest{SharedMemory: offer}); err != nil {
		return c.startError(err)
	}
	switch {
	case c.description.GetCompressor() == nil && c.description.GetBackend() == nil:
		return errors.New("its description has neither a compressor nor a backend")
	case !c.description.GetSharedMemory():
		c.memory = memory.Streamed(protocol.NewMemoryClient(conn))
	case !offer:
		return errors.New("its description has shared memory, which the host did not offer")
	default:
		c.memory = memory.Shared(c.process.Socket())
	}
	return nil
}

// dial returns the connection to a plugin. Go-plugin panics on some handshakes, for example on one
// with a certificate when the host uses no TLS; dial returns an error.
func dial(client *plugin.Client) (conn *grpc.ClientConn, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("its handshake is invalid: %v", r)
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

// startError returns the error of a start. When the process has ended, that is the error.
func (c *client) startError(err error) error {
	if line, ok := c.process.Noise(); ok {
		err := fmt.Errorf("the first line of standard output: want the handshake %d|%d|unix|SOCKET|grpc|CERTIFICATE, got %q; "+
			"write other text to standard error, or after the handshake", handshake.ProtocolVersion, version, shorten(line, 200))
		if out := joinLines(c.process.Tail()); out != "" {
			err = fmt.Errorf("%w; its last output: %s", err, shorten(out, maxOutput))
		}
		return err
	}
	select {
	case <-c.process.Exited():
		if c.process.State() == "not started" {
			break
		}
		return c.diedError("start")
	case <-time.After(100 * time.Millisecond):
	}
	switch {
	case status.Code(err) == codes.Unavailable && !c.command.Insecure:
		return fmt.Errorf("no connection with mutual TLS: %s; a plugin without it needs Command.Insecure", message(err))
	case status.Code(err) == codes.Unimplemented:
		return fmt.Errorf("it does not serve version %d of the protocol: %s", version, message(err))
	}
	return errors.New(oneLine(err.Error())) // go-plugin's errors contain text of the plugin
}

// checkHealth kills a plugin that does not reply to a health check. It returns when the process
// ends.
func (c *client) checkHealth() {
	health := grpc_health_v1.NewHealthClient(c.conn)
	ticker := time.NewTicker(max(c.command.Heartbeat/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-c.alive.Done():
			return
		}
		ctx, cancel := context.WithTimeout(c.alive, c.command.Heartbeat)
		_, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
		cancel()
		if err != nil && c.alive.Err() == nil {
			c.kill(fmt.Sprintf("a health check was not answered within %v (Command.Heartbeat): %s", c.command.Heartbeat, message(err)))
		}
	}
}

// kill kills the process. The first reason is kept.
func (c *client) kill(reason string) {
	c.killed.CompareAndSwap(nil, &reason)
	c.process.Destroy()
}

// call makes one remote call. It returns nil, the error of the caller's context, the error of the
// plugin, or a *DiedError.
//
// The remote call does not end with ctx, because only the plugin can tell whether it stopped in
// time. When ctx ends, the plugin is asked to cancel the call, and killed when the call does not
// end then.
func (c *client) call(ctx context.Context, what string, remote func(ctx context.Context, id uint64) error) error {
	if err := ctx.Err(); err != nil {
		return c.callError(what, err)
	}
	c.running.RLock()
	defer c.running.RUnlock()
	id, done := c.lastCall.Add(1), make(chan struct{})
	defer close(done)
	defer context.AfterFunc(ctx, func() { c.cancel(what, id, done) })()
	timeout := time.AfterFunc(c.command.CallTimeout, func() {
		c.kill(fmt.Sprintf("no reply within %v (Command.CallTimeout)", c.command.CallTimeout))
	})
	defer timeout.Stop()
	err := remote(c.alive, id)
	if err == nil {
		return nil
	}
	_, remotely := status.FromError(err)
	switch code := status.Code(err); {
	case c.alive.Err() != nil || code == codes.Unavailable || broken(err):
		return c.diedError(what)
	case code == codes.Canceled && ctx.Err() != nil:
		return c.callError(what, ctx.Err())
	case code == codes.DataLoss:
		return c.callError(what, fmt.Errorf("%w: %s", backends.ErrLost, message(err)))
	case remotely:
		return c.callError(what, errors.New(message(err)))
	}
	if reply := (*ReplyError)(nil); errors.As(err, &reply) {
		return err
	}
	return c.callError(what, err)
}

// broken reports whether err is that of a connection whose other end is gone, or that was closed
// because of that. It can come before the end of the process is known.
func broken(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed)
}

func (c *client) callError(what string, err error) error {
	return fmt.Errorf("plugins: %s: %s: %w", c.command.Path, what, err)
}

// callWith acquires regions for a payload, sends it, and makes a remote call that uses the regions.
func (c *client) callWith(ctx context.Context, what string, p *payload, remote func(context.Context, uint64, *memory.Pair) error) error {
	return c.call(ctx, what, func(ctx context.Context, id uint64) error {
		pair, err := c.memory.Acquire(ctx, p.in, p.out)
		if err != nil {
			return err
		}
		defer pair.Release() // the plugin has replied or has ended
		for _, fill := range p.fill {
			fill(pair)
		}
		if err := pair.Send(ctx); err != nil {
			return err
		}
		return remote(ctx, id, pair)
	})
}

// cancel asks the plugin to cancel a call, and kills it when the call does not end.
func (c *client) cancel(what string, id uint64, done <-chan struct{}) {
	ctx, stop := context.WithTimeout(c.alive, c.command.StopTimeout)
	defer stop()
	// After an error of Cancel the call can still end.
	_, _ = c.plugin.Cancel(ctx, &protocol.CancelRequest{Call: id})
	select {
	case <-done:
	case <-ctx.Done():
		if c.alive.Err() == nil {
			c.kill(fmt.Sprintf("%s was cancelled and did not end within %v (Command.StopTimeout)", what, c.command.StopTimeout))
		}
	}
}

// diedError returns how the process ended, after its end. It kills a process whose connection is
// broken.
func (c *client) diedError(call string) error {
	select {
	case <-c.process.Exited():
	case <-time.After(500 * time.Millisecond): // the connection ends a little before the process
		c.kill("its connection broke")
	}
	e := &DiedError{Plugin: c.command.Path, Call: call, State: c.process.State(), Output: c.process.Tail()}
	if why := c.killed.Load(); why != nil {
		e.Killed = *why
	}
	if c.description.GetBackend() != nil {
		e.lost = backends.ErrLost
	}
	return e
}

func (c *client) replyError(tensor, format string, args ...any) error {
	return &ReplyError{c.command.Path, tensor, fmt.Errorf(format, args...)}
}

// close ends the running calls and then the process.
func (c *client) close() {
	if c.alive.Err() == nil {
		ctx, stop := context.WithTimeout(c.alive, c.command.StopTimeout)
		_, err := c.plugin.Drain(ctx, &protocol.DrainRequest{})
		stop()
		if err == nil || status.Code(err) == codes.Unimplemented {
			c.awaitCalls()
			c.closeStdin()
		}
	}
	c.release()
}

// awaitCalls waits until the replies of the running calls have arrived, at most StopTimeout.
func (c *client) awaitCalls() {
	ended := make(chan struct{})
	go func() {
		c.running.Lock() // at the latest when the process has ended
		defer c.running.Unlock()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(c.command.StopTimeout):
	}
}

// closeStdin closes the standard input of the process, which then exits, and waits for its end, at
// most StopTimeout.
func (c *client) closeStdin() {
	socket := c.process.Socket()
	if socket == nil {
		return
	}
	_ = socket.Close()
	select {
	case <-c.process.Exited():
	case <-time.After(c.command.StopTimeout):
	}
}

// release kills the process, if it is running, and frees everything that belongs to it.
func (c *client) release() {
	c.process.Destroy()
	if c.goPlugin != nil {
		c.goPlugin.Kill()
	}
	if c.conn != nil {
		_ = c.conn.Close()
	}
	if c.memory != nil {
		_ = c.memory.Close()
	}
	if c.socketDir != "" {
		_ = os.RemoveAll(c.socketDir)
	}
	c.heartbeat.Wait()
	c.command.Log.Debug("plugin ended", "plugin", c.command.Path, "state", c.process.State())
}
