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

// Runner returns the Process as go-plugin wants it. The child's environment is Spec.Env and then env, which is what go-plugin adds: the Env of
// the command that it hands to its RunnerFunc, provided that SkipHostEnv is set.
//
// A start that fails leaves nothing behind, save one whose context had ended before: that Process is as New made it. Go-plugin does not remove
// its socket folder after a failed start; give it a TempDir of its own and remove that.
func (p *Process) Runner(env []string) runner.Runner { return child{p, env} }

type child struct {
	p   *Process
	env []string
}

func (c child) Start(ctx context.Context) error { return c.p.start(ctx, c.env) }

// Kill kills the process group, and returns nil once the child has ended.
func (c child) Kill(ctx context.Context) error { return c.p.kill(ctx) }

// Wait returns how the child ended: nil for exit status 0, else an *exec.ExitError, or an error that says that there is no end to wait for.
func (c child) Wait(ctx context.Context) error {
	c.p.mu.Lock()
	started := c.p.stage != fresh
	c.p.mu.Unlock()
	if !started {
		return fmt.Errorf("process: %s was not started", c.p.path)
	}
	select {
	case <-c.p.exited:
		return c.p.err
	case <-c.p.abandoned:
		return c.p.stuck()
	case <-ctx.Done():
		return fmt.Errorf("process: waiting for %s: %w", c.p.path, ctx.Err())
	}
}

// Diagnose says what became of a child that wrote no handshake. Its standard output often ends just before itself, so it waits a little for the end.
func (c child) Diagnose(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*grace)
	defer cancel()
	if err := c.Wait(ctx); errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("%s is still running and wrote no handshake: is it a plugin? %s", c.p.path, c.p.lastWords())
	}
	return fmt.Sprintf("%s ended before its handshake (%s). %s", c.p.path, c.p.State(), c.p.lastWords())
}

func (p *Process) lastWords() string {
	tail := strings.TrimRight(p.Tail(), "\n")
	if tail == "" {
		return "It wrote nothing else."
	}
	return "Its last output:\n    " + strings.ReplaceAll(tail, "\n", "\n    ")
}

// Stdout ends behind the first line. Stderr is empty and ends with the child: Spec.Log has the lines.
func (c child) Stdout() io.ReadCloser { return c.p.output.handshake }
func (c child) Stderr() io.ReadCloser { return c.p.output.nothing }

func (c child) Name() string { return c.p.path }

func (c child) ID() string {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.p.pid == 0 {
		return ""
	}
	return strconv.Itoa(c.p.pid)
}

// Host and child see the same sockets.

func (c child) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (c child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
