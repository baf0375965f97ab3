// Package backends defines what a device must do to run cram's programs: four small interfaces.
//
// A [Backend] opens sessions. A [Session] owns slots, the tensors that live between runs, and compiles programs that
// read and update them. An [Executable] runs one program. An op is data, so a backend grows by kernels, never by methods;
// what it lacks it reports at Compile, all of it at once, as an [UnsupportedError].
//
// To write a backend: switch over [graph.Instr].Op, take the meaning of each op from backends/reference, and run
// backends/backendtest against it. Memory rules: tensors passed in are the caller's and are only read during the call;
// tensors returned are the caller's; slots never alias either.
package backends

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// ErrLost says that a session's state is gone or unknown: a device fell off the bus, a plugin died between commit and
// reply. After any other error of Run the slots are unchanged.
var ErrLost = errors.New("backends: session lost")

// ErrClosed is returned by every method but Close once the value, or what it came from, is closed.
var ErrClosed = errors.New("backends: closed")

// Info describes a backend.
type Info struct {
	Name           string // "cpu", "reference"
	InstructionSet string // the instruction set or device in use: "avx512", "avx2", "portable", "go"
	Deterministic  bool   // equal inputs give bit-equal results, run to run
	Threads        int    // workers, 0 when that means nothing
}

// A Backend runs programs somewhere. Its methods are safe for concurrent use.
type Backend interface {
	Info() Info
	NewSession(ctx context.Context) (Session, error)
	Close() error // after it, sessions and executables return ErrClosed
}

// A Session owns mutable slots and the executables compiled against them. Its methods, and Run of its executables that
// update slots, are for one goroutine at a time.
type Session interface {
	// Set gives a slot its value, decoding it if encoded. A slot that no program declared yet takes the value's type;
	// one that exists must have it.
	Set(ctx context.Context, slot string, v array.Value) error
	// Get returns a copy of a slot's value.
	Get(ctx context.Context, slot string) (array.Tensor, error)
	// Compile prepares a program. Slots that it declares and nobody set spring up filled with zeros.
	Compile(ctx context.Context, p *graph.Program, o Options) (Executable, error)
	Close() error
}

// Options tune one compilation. The zero value is right for training.
type Options struct {
	// Const holds slots that never change while the executable lives, in whatever encoding: a backend packs, folds or
	// keeps them sparse here. They are not slots of the session, and updating them is an error.
	Const map[string]array.Value
	// Pin fixes the kernel of the named choices, as reported by an earlier Plan. nil: by a fixed rule of shapes and
	// counts of nonzeros, and by timing only where Const makes a weight frozen.
	Pin Plan
}

// A Plan maps each choice the compiler made ("conv1.weight: conv2d 16→16 3×3") to the kernel chosen ("direct", "sparse").
type Plan map[string]string

// An Executable is a compiled program.
type Executable interface {
	// Run feeds in, one tensor for each input of the program in order, and returns the outputs in order. Where out is
	// not nil its tensors, of the right type, receive the outputs and are returned. Run may be called concurrently
	// when the program has no updates. On error no slot has changed, unless the error is ErrLost.
	Run(ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error)
	Plan() Plan
	Close() error
}

// An UnsupportedError lists everything in a program that a backend cannot run.
type UnsupportedError struct {
	Backend string
	Missing []string // "conv2d f64", "gather bf16"
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("backends: %s lacks %s; use another backend or rewrite the program", e.Backend, strings.Join(e.Missing, ", "))
}

// A Lister is a backend that can say beforehand which ops it computes. What it computes them in is said by Compile.
type Lister interface{ Ops() []graph.Op }
