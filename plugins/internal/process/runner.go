package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin/runner"
)

// Runner returns the Process as a runner of go-plugin. The child's environment is Spec.Env followed
// by env, the variables of go-plugin: the Env of the command that go-plugin passes to RunnerFunc
// when SkipHostEnv is set.
//
// A start that fails releases everything, except when its context had ended before: then the
// Process is as New returned it. Go-plugin does not remove the directory of its socket after a
// failed start; the caller removes it.
func (p *Process) Runner(env []string) runner.Runner { return child{p, env} }

type child struct {
	p   *Process
	env []string
}

func (c child) Start(ctx context.Context) error { return c.p.start(ctx, c.env) }

// Kill kills the process group. It returns nil when the child has ended.
func (c child) Kill(ctx context.Context) error { return c.p.kill(ctx) }

// Wait waits until the child has ended. It returns nil for exit status 0, an *exec.ExitError for
// other ends, and another error when there is no end to wait for.
func (c child) Wait(ctx context.Context) error {
	c.p.mu.Lock()
	started := c.p.stage != created
	c.p.mu.Unlock()
	if !started {
		return fmt.Errorf("%s was not started", c.p.path)
	}
	select {
	case <-c.p.exited:
		return c.p.err
	case <-c.p.abandoned:
		return c.p.stuckError()
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", c.p.path, ctx.Err())
	}
}

// Diagnose describes a child that wrote no handshake. It waits a little for the end of the child,
// whose standard output often ends just before.
func (c child) Diagnose(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*outputTimeout)
	defer cancel()
	if err := c.Wait(ctx); errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("%s is running and wrote no handshake: is it a plugin? %s", c.p.path, c.p.lastOutput())
	}
	return fmt.Sprintf("%s ended before its handshake (%s). %s", c.p.path, c.p.State(), c.p.lastOutput())
}

func (p *Process) lastOutput() string {
	tail := strings.TrimRight(p.Tail(), "\n")
	if tail == "" {
		return "It wrote nothing else."
	}
	return "Its last output: " + strings.ReplaceAll(tail, "\n", " | ")
}

// Stdout has only the first line. Stderr is empty until the child ends, because Spec.Log gets the
// lines.
func (c child) Stdout() io.ReadCloser { return c.p.output.handshake }
func (c child) Stderr() io.ReadCloser { return c.p.output.noStderr }

func (c child) Name() string { return c.p.path }

func (c child) ID() string {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.p.pid == 0 {
		return ""
	}
	return strconv.Itoa(c.p.pid)
}

// Host and child use the same addresses of sockets.

func (c child) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (c child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
