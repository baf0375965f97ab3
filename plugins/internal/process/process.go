// Package process starts a plugin's program so that it can do its host no harm, and ends it for certain.
//
// A Process is one child, started once; a restart makes a new Process. Go-plugin starts it through [Process.Runner]:
//
//	p, err := process.New(process.Spec{Path: "./topk", SHA256: sum, Env: env, Log: log})
//	defer p.Destroy()
//	client := plugin.NewClient(&plugin.ClientConfig{SkipHostEnv: true, RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
//		return p.Runner(cmd.Env), nil
//	}})
//	_, err = client.Start()
//	… p.Socket(), and after an error p.State() and p.Tail() …
//
// Beyond what go-plugin's own runner does:
//
//   - It executes exactly the bytes that it checked. A program pinned by its SHA-256 is copied to memory that can change no more (a sealed
//     memfd), and that copy is hashed and executed. A script is pinned alone: neither its interpreter nor what it imports is. Systems other than
//     Linux execute a copy in a private folder, which other processes of the same user could still reach.
//   - The child's standard input is the lifeline: a unix socket, over which package memory hands regions on Linux, a pipe on Windows. It ends when
//     the host does, however the host ends, and the child is expected to exit then. The host's end is inherited by nobody.
//   - The child leads a process group of its own. All of it is killed when the Process is destroyed, and when the child ends by itself. A
//     process that leaves the group (setsid) is not found again. On Windows the group is a job, which the child joins just after its start and
//     which also ends with the host.
//   - Of standard output only the first line, at most 4 KiB, reaches go-plugin: the handshake. What follows, and standard error, goes to the log
//     line by line, and its last 8 KiB are kept for errors. A child can write without end and without newlines.
//   - The environment is what the Spec says and what go-plugin adds, and nothing of the host's.
//
// Nothing here waits for ever. A child that the kernel cannot end (a dead disk, a debugger) is given up after some seconds: [Process.Destroy]
// and the runner's Wait return, and the rest is released whenever the kernel lets go of it.
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
	"time"
)

const (
	patience = 5 * time.Second // how long a killed child may take to end
	grace    = time.Second     // how long the output of an ended child is read when somebody else holds it open
)

// A Spec says what to start.
type Spec struct {
	Path   string            // program; looked up like exec.Command does, relative to the host's folder
	Args   []string          // without the program's name
	Dir    string            // working folder; "" is the host's
	Env    []string          // NAME=VALUE, all of the environment but what go-plugin adds
	SHA256 []byte            // of the program's file, 32 bytes; nil: not pinned
	Log    func(line string) // gets the output, one line at a time, without newlines, what prints of it and ? for the rest, at most 8 KiB; must not block; nil: nobody
}

type stage int

const (
	fresh stage = iota
	starting
	running
	reaped // ended, and its number may belong to somebody else
	finished
)

// Process is one child process. Its methods are safe for concurrent use.
type Process struct {
	spec     Spec
	path     string
	program  program
	stdin    *os.File  // the child's end of the lifeline
	lifeline io.Closer // the host's
	output   *output

	exited, abandoned chan struct{}

	mu       sync.Mutex
	stage    stage
	doomed   *time.Timer // set by the first attempt to end it; runs out when the child could not be ended
	group    group
	pid      int
	state    string
	err      error
	givingUp sync.Once
}

// New checks the Spec, resolves the path, and takes the copy of a pinned program. Nothing runs yet. A Process that New returned holds
// descriptors until its child has ended or Destroy was called.
//
// A program that is missing, a folder or not executable, one whose SHA-256 is not the pinned one, a missing folder, and an environment that is not
// NAME=VALUE are errors.
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
	host, child, err := newLifeline()
	if err != nil {
		program.close()
		return nil, fmt.Errorf("process: standard input for %s: %w", path, err)
	}
	return &Process{spec: s, path: path, program: program, stdin: child, lifeline: host, output: newOutput(s.Log),
		exited: make(chan struct{}), abandoned: make(chan struct{})}, nil
}

func check(s Spec) error {
	if s.SHA256 != nil && len(s.SHA256) != sha256.Size {
		return fmt.Errorf("process: the SHA-256 pinned for %s has %d bytes, expected %d", s.Path, len(s.SHA256), sha256.Size)
	}
	for _, e := range s.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return fmt.Errorf("process: environment entry %q is not NAME=VALUE", e)
		}
	}
	if s.Dir == "" {
		return nil
	}
	info, err := os.Stat(s.Dir)
	if err != nil {
		return fmt.Errorf("process: working folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("process: working folder %s is a file", s.Dir)
	}
	return nil
}

// Socket returns the host's end of the child's standard input, nil where it is a pipe. It keeps message boundaries on Linux (SOCK_SEQPACKET)
// and is a stream elsewhere. Closing it asks the child to exit; it is closed by itself when the child has ended.
func (p *Process) Socket() *net.UnixConn {
	socket, _ := p.lifeline.(*net.UnixConn)
	return socket
}

// Exited is closed once the child has ended and was waited for, or can no longer be started.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// State says how the child ended: "exit status 2", "signal: killed". Before that it says "not started", "running" or, when a killed child
// could not be ended in time, "killed, but does not end".
func (p *Process) State() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stage == fresh || p.stage == starting:
		return "not started"
	case p.stage == finished:
		return p.state
	case isClosed(p.abandoned):
		return "killed, but does not end"
	}
	return "running"
}

// Tail returns the last lines of the child's output, at most 8 KiB, ? for what does not print. It is complete once Exited is closed.
func (p *Process) Tail() string { return p.output.tail.String() }

// Destroy kills the whole process group and waits, for at most some seconds, until the child is reaped. It may be called at any time and often.
func (p *Process) Destroy() {
	_ = p.kill(context.Background()) // a child that does not end is seen in State
}

func (p *Process) start(ctx context.Context, env []string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("process: %s was not started: %w", p.path, err)
	}
	p.mu.Lock()
	if p.stage != fresh {
		p.mu.Unlock()
		return fmt.Errorf("process: %s was started or destroyed before: make a new Process", p.path)
	}
	p.stage = starting
	p.mu.Unlock()

	cmd := &exec.Cmd{
		Path:       p.program.path,
		Args:       append([]string{p.path}, p.spec.Args...),
		Env:        append(append([]string{}, p.spec.Env...), env...), // never nil, which would be the host's
		Dir:        p.spec.Dir,
		Stdin:      p.stdin,
		ExtraFiles: p.program.inherited,
	}
	readers, err := launch(cmd)
	if err != nil {
		p.finish("not started", err)
		return fmt.Errorf("process: %s does not start: %w", p.path, err)
	}
	_ = p.stdin.Close()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage, p.pid, p.group = running, cmd.Process.Pid, newGroup(cmd.Process)
	if p.doomed != nil {
		p.group.kill()
	}
	go p.reap(cmd, readers)
	return nil
}

// launch starts cmd with its output in pipes, and returns the ends to read: standard output and standard error.
func launch(cmd *exec.Cmd) (readers [2]*os.File, err error) {
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
	lead(cmd)
	return readers, cmd.Start()
}

// reap reads the child's output and waits for its end, then ends what it left behind.
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

	// Who still holds the pipes has left the group, and is not waited for. Nor is a Log that blocks.
	for _, r := range readers {
		_ = r.SetReadDeadline(time.Now().Add(grace)) // where pipes have no deadlines, Close ends the read
	}
	late := time.After(2 * grace)
	for i := range drained {
		select {
		case <-drained[i]:
		case <-late:
			late = time.After(0)
		}
	}
	closeAll(readers[:])
	p.group.close()
	if cmd.ProcessState == nil { // somebody else reaped it
		p.finish("ended, nobody knows how", err)
		return
	}
	p.finish(cmd.ProcessState.String(), err)
}

// kill kills the group and waits until the child has ended, ctx has, or patience has.
func (p *Process) kill(ctx context.Context) error {
	p.mu.Lock()
	stage, pid := p.stage, p.pid
	if p.doomed == nil && stage != finished {
		p.doomed = time.AfterFunc(patience, p.giveUp)
	}
	switch stage {
	case fresh:
		p.stage = reaped // there will be no start
	case running:
		p.group.kill()
	}
	p.mu.Unlock()
	if stage == fresh {
		p.finish("not started", errors.New("destroyed before its start"))
	}

	select {
	case <-p.exited:
		return nil
	case <-p.abandoned:
		return p.stuck()
	case <-ctx.Done():
		return fmt.Errorf("process: waiting for the end of %s (process %d), which was killed: %w", p.path, pid, ctx.Err())
	}
}

// finish releases everything. It is called once, when there is no child or no child any more.
func (p *Process) finish(state string, err error) {
	p.program.close()
	_ = p.stdin.Close()
	_ = p.lifeline.Close()
	p.output.end()
	p.mu.Lock()
	if p.doomed != nil {
		p.doomed.Stop()
	}
	p.stage, p.state, p.err = finished, state, err
	p.mu.Unlock()
	close(p.exited)
}

// giveUp lets everybody go on who waits for a child that was killed and does not end. The files that a start may be using stay open.
func (p *Process) giveUp() {
	p.givingUp.Do(func() {
		_ = p.lifeline.Close()
		p.output.end()
		close(p.abandoned)
	})
}

func (p *Process) stuck() error {
	return fmt.Errorf("process: %s was killed and has not ended within %v: it hangs in the kernel or is held by a debugger", p.path, patience)
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
