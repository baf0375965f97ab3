// Package process starts a plugin's program, isolates the host from it, and ends it.
//
// A Process is one child process. It is started once; a restart needs a new Process. Go-plugin
// starts it through [Process.Runner]:
//
//	p, err := process.New(process.Spec{Path: "./topk", SHA256: sum, Env: env, Log: log})
//	defer p.Destroy()
//	client := plugin.NewClient(&plugin.ClientConfig{
//		SkipHostEnv: true,
//		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
//			return p.Runner(cmd.Env), nil
//		},
//	})
//	_, err = client.Start()
//	… p.Socket(), and after an error p.State() and p.Tail() …
//
// It differs from go-plugin's own runner:
//
//   - It executes exactly the bytes that it hashed. A program with a SHA-256 is copied to a sealed
//     memfd; the copy is hashed and executed. Of a script only the file itself is pinned, not its
//     interpreter and not the modules that it imports. Systems other than Linux execute a copy in a
//     private directory, which other processes of the same user can change.
//   - The child's standard input is a unix socket (on Windows a pipe). On Linux package memory
//     sends regions through it. It is closed when the host ends, in whatever way, and the child
//     then exits. No other process inherits the host's end.
//   - The child leads a new process group. The whole group is killed by Destroy, and also when the
//     child exits. A process that leaves the group (setsid) is not killed. On Windows the group is
//     a job object, which the child joins just after its start and which also ends with the host.
//   - Go-plugin gets only the first line of standard output, at most 4 KiB: the handshake. The log
//     gets that line only when it is not a handshake ([Process.Noise]). The other lines and
//     standard error go to the log, and their last 8 KiB are kept for errors. The size of the
//     output and of its lines is not limited.
//   - The environment has the entries of the Spec and those of go-plugin, and no others.
//
// All waits are limited. When the kernel cannot end a child (because of a failed disk or a
// debugger), [Process.Destroy] and the runner's Wait return after some seconds, and the resources
// are released when the child ends.
package process

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	killTimeout   = 5 * time.Second // from the kill of a child to its end
	outputTimeout = time.Second     // from the end of a child to the end of its output
)

// A Spec describes the program to start.
type Spec struct {
	Path   string   // program; found like exec.Command, relative to the host's working directory
	Args   []string // without the name of the program
	Dir    string   // working directory; "": the host's
	Env    []string // NAME=VALUE, the environment without the variables of go-plugin
	SHA256 []byte   // of the program's file, 32 bytes; nil: not pinned

	// Log is called for each line of the output, without its newline, with at most 8 KiB, and with
	// ? for characters that are not printable. Calls do not overlap, and must return soon. nil: no
	// log.
	Log func(line string)
}

type stage int

const (
	created stage = iota
	starting
	running
	reaped // ended, and another process can have its number
	finished
)

// Process is one child process. Its methods are safe for concurrent use.
type Process struct {
	spec      Spec
	path      string
	program   program
	stdin     *os.File  // the child's end of its standard input
	stdinHost io.Closer // the host's end
	output    *output

	exited, abandoned chan struct{}

	mu          sync.Mutex
	stage       stage
	killTimer   *time.Timer // set by the first kill; calls abandon when the child has not ended
	group       group
	pid         int
	state       string
	err         error
	abandonOnce sync.Once
}

// New checks the Spec, resolves the path, and copies a pinned program. It does not start the
// program. The Process has open descriptors until its child has ended or Destroy was called.
//
// New returns an error when the program is missing, is a directory, is not executable or has
// another SHA-256 than the pinned one, when the working directory is missing, and when an entry of
// the environment is not NAME=VALUE.
func New(s Spec) (*Process, error) {
	path, err := resolve(s.Path)
	if err != nil {
		return nil, err
	}
	if err := check(s); err != nil {
		return nil, err
	}
	program := program{path: path}
	if s.SHA256 != nil {
		if program, err = pin(path, s.SHA256); err != nil {
			return nil, err
		}
	}
	host, child, err := newStdin()
	if err != nil {
		program.close()
		return nil, fmt.Errorf("standard input for %s: %w", path, err)
	}
	return &Process{spec: s, path: path, program: program, stdin: child, stdinHost: host, output: newOutput(s.Log),
		exited: make(chan struct{}), abandoned: make(chan struct{})}, nil
}

func check(s Spec) error {
	if s.SHA256 != nil && len(s.SHA256) != sha256.Size {
		return fmt.Errorf("SHA-256 of %s: want %d bytes, got %d", s.Path, sha256.Size, len(s.SHA256))
	}
	for _, e := range s.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return fmt.Errorf("environment: want entries NAME=VALUE, got %q", e)
		}
	}
	if s.Dir == "" {
		return nil
	}
	info, err := os.Stat(s.Dir)
	if err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("working directory %s is a file", s.Dir)
	}
	return nil
}

// Socket returns the host's end of the child's standard input, nil when it is a pipe. On Linux it
// preserves the boundaries of messages (SOCK_SEQPACKET); on other systems it is a stream. Closing
// it asks the child to exit. It is closed automatically when the child has ended.
func (p *Process) Socket() *net.UnixConn {
	socket, _ := p.stdinHost.(*net.UnixConn)
	return socket
}

// Exited returns a channel that is closed when the child has ended and was reaped, or can no longer
// be started.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// State returns how the child ended: "exit status 2", "signal: killed". Before that it returns "not
// started", "running" or, when a killed child has not ended in time, "killed, but does not end".
func (p *Process) State() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stage == created || p.stage == starting:
		return "not started"
	case p.stage == finished:
		return p.state
	case isClosed(p.abandoned):
		return "killed, but does not end"
	}
	return "running"
}

// Tail returns the last lines of the child's output, at most 8 KiB, with ? for characters that are
// not printable. It is complete when Exited is closed.
func (p *Process) Tail() string { return p.output.tail.String() }

// Noise returns the first line of standard output when it is not a handshake, without characters
// that are not printable. Ok is false when the line is a handshake or has not arrived.
func (p *Process) Noise() (line string, ok bool) {
	if noise := p.output.noise.Load(); noise != nil {
		return *noise, true
	}
	return "", false
}

// Destroy kills the whole process group and waits until the child is reaped, for at most some
// seconds. It can be called at any time and more than once.
func (p *Process) Destroy() {
	_ = p.kill(context.Background()) // State reports a child that does not end
}

func (p *Process) start(ctx context.Context, env []string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s was not started: %w", p.path, err)
	}
	p.mu.Lock()
	if p.stage != created {
		p.mu.Unlock()
		return fmt.Errorf("%s was started or destroyed before: create a new Process", p.path)
	}
	p.stage = starting
	p.mu.Unlock()

	cmd := &exec.Cmd{
		Path:       p.program.path,
		Args:       append([]string{p.path}, p.spec.Args...),
		Env:        append(append([]string{}, p.spec.Env...), env...), // nil would be the host's
		Dir:        p.spec.Dir,
		Stdin:      p.stdin,
		ExtraFiles: p.program.inherited,
	}
	readers, err := startWithPipes(cmd)
	if err != nil {
		if errors.Is(err, syscall.ENOEXEC) {
			err = fmt.Errorf("%w: want a binary of this system or a script that begins with #!INTERPRETER", err)
		}
		p.finish("not started", err)
		return fmt.Errorf("starting %s: %w", p.path, err)
	}
	_ = p.stdin.Close()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage, p.pid, p.group = running, cmd.Process.Pid, newGroup(cmd.Process)
	if p.killTimer != nil {
		p.group.kill()
	}
	go p.reap(cmd, readers)
	return nil
}

// startWithPipes starts cmd with its output in pipes and returns the ends to read: standard output
// and standard error.
func startWithPipes(cmd *exec.Cmd) (readers [2]*os.File, err error) {
	var writers [2]*os.File
	defer func() {
		closeAll(writers[:])
		if err != nil {
			closeAll(readers[:])
		}
	}()
	for i := range readers {
		if readers[i], writers[i], err = os.Pipe(); err != nil {
			return readers, err
		}
	}
	cmd.Stdout, cmd.Stderr = writers[0], writers[1]
	setGroup(cmd)
	return readers, cmd.Start()
}

// reap reads the child's output and waits for its end. Then it kills the rest of its group.
func (p *Process) reap(cmd *exec.Cmd, readers [2]*os.File) {
	var drained [2]chan struct{}
	for i, drain := range [2]func(io.Reader){p.output.drainStdout, p.output.drainStderr} {
		drained[i] = make(chan struct{})
		go func() {
			defer close(drained[i])
			drain(readers[i])
		}()
	}

	err := wait(cmd, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.group.kill()
		p.stage = reaped
	})

	// Do not wait for a process that left the group with the pipes open, nor for a Log that blocks.
	for _, r := range readers {
		_ = r.SetReadDeadline(time.Now().Add(outputTimeout)) // if not supported, Close ends it
	}
	timeout := time.After(2 * outputTimeout)
	for i := range drained {
		select {
		case <-drained[i]:
		case <-timeout:
			timeout = time.After(0)
		}
	}
	closeAll(readers[:])
	p.group.close()
	if cmd.ProcessState == nil { // another part of the host reaped it
		p.finish("ended, exit status unknown", err)
		return
	}
	p.finish(cmd.ProcessState.String(), err)
}

// kill kills the group and waits until the child has ended, ctx is done, or killTimeout is over.
func (p *Process) kill(ctx context.Context) error {
	p.mu.Lock()
	stage, pid := p.stage, p.pid
	if p.killTimer == nil && stage != finished {
		p.killTimer = time.AfterFunc(killTimeout, p.abandon)
	}
	switch stage {
	case created:
		p.stage = reaped // it cannot be started any more
	case running:
		p.group.kill()
	}
	p.mu.Unlock()
	if stage == created {
		p.finish("not started", errors.New("destroyed before its start"))
	}

	select {
	case <-p.exited:
		return nil
	case <-p.abandoned:
		return p.stuckError()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the end of %s (process %d), which was killed: %w", p.path, pid, ctx.Err())
	}
}

// finish releases everything. It is called once, when the child has ended or cannot be started.
func (p *Process) finish(state string, err error) {
	p.program.close()
	_ = p.stdin.Close()
	_ = p.stdinHost.Close()
	p.output.end()
	p.mu.Lock()
	if p.killTimer != nil {
		p.killTimer.Stop()
	}
	p.stage, p.state, p.err = finished, state, err
	p.mu.Unlock()
	close(p.exited)
}

// abandon ends all waits for a child that was killed and does not end. The files that a start may
// be using stay open.
func (p *Process) abandon() {
	p.abandonOnce.Do(func() {
		_ = p.stdinHost.Close()
		p.output.end()
		close(p.abandoned)
	})
}

func (p *Process) stuckError() error {
	return fmt.Errorf("%s was killed and has not ended within %v: the kernel or a debugger holds it", p.path, killTimeout)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
