// Package process starts a plugin's program so that it can do its host no harm, and ends it for certain.
//
// A Process is a go-plugin runner. Beyond what go-plugin's own runner does:
//
//   - It executes exactly the bytes that it checked: a program pinned by its SHA-256 is copied to memory that can change no more, and that
//     copy is hashed and executed.
//   - The child's standard input is the lifeline: a unix socket on Linux, over which package memory hands regions, a pipe
//     elsewhere. It ends when the host does, however the host ends, and the child then exits.
//   - The child leads a process group of its own, and all of it is killed.
//   - Standard output behind the handshake line can neither block the child nor fill the host's memory; it and standard error go to
//     the log line by line, and the end of them is kept for errors.
//   - The environment is what the Spec says and nothing else.
package process

import (
	"net"
)

// A Spec says what to start.
type Spec struct {
	Path   string   // program; looked up like exec.Command does
	Args   []string // without the program's name
	Dir    string   // working folder; "" is the host's
	Env    []string // NAME=VALUE, all of the environment but what go-plugin adds
	SHA256 []byte   // of the program's file; nil: not pinned
	Log    func(line string)
}

// Process is one child process. Its methods are safe for concurrent use.
type Process struct{}

// New checks the Spec, resolves the path, and takes the copy of a pinned program. Nothing runs yet.
func New(s Spec) (*Process, error) { panic("stub") }

// Socket returns the host's end of the child's standard input, nil where it is a pipe.
func (p *Process) Socket() *net.UnixConn { panic("stub") }

// Exited is closed once the child has ended and was waited for.
func (p *Process) Exited() <-chan struct{} { panic("stub") }

// State says how the child ended: "exit status 2", "signal: killed"; "running" before.
func (p *Process) State() string { panic("stub") }

// Tail returns the last lines of the child's output, at most 8 KiB.
func (p *Process) Tail() string { panic("stub") }

// Destroy kills the whole process group and waits, for a bounded time, until the child is reaped. It may be called at any time and often.
func (p *Process) Destroy() { panic("stub") }
