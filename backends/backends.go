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
	// Pin fixes the kernels of its Choices, as Plan of an earlier executable of the same program returned them; its
	// other fields are not used. A choice or a kernel that this compilation does not have is an error. A choice that
	// Pin does not list, and every choice when Pin is nil, is made by a fixed rule of shapes and counts of nonzeros,
	// and by timing only where Const makes a weight frozen.
	Pin *Plan
	// MemoryLimit is the number of bytes that the executable may take: for its constants, for the slots that Compile
	// makes, and for the intermediate values and the outputs of one run. Compile and Run return a [MemoryError] before
	// they allocate more. 0 means no limit; a negative limit is an error.
	MemoryLimit int64
}

// A Plan lists the kernels that Compile chose, and where it chose them.
type Plan struct {
	Device         string   // model of the processor or accelerator; empty when the backend cannot name it
	InstructionSet string   // as in Info
	Threads        int      // as in Info
	Batch          int      // batch size at which the kernels were timed; 0 when nothing was timed
	Choices        []Choice // in the order of the program, each Name once
}

// A Choice is one place in a program where a backend has several kernels to choose from.
type Choice struct {
	Name   string       // "conv1.weight: conv2d 16→16 3×3"
	Kernel string       // the kernel chosen: "direct", "sparse"
	Times  []KernelTime // of the kernels that were timed; empty when the choice was made by rule or pinned
}

// A KernelTime is the time that a kernel took for one call.
type KernelTime struct {
	Kernel      string
	Nanoseconds int64
}

// Kernel returns the kernel of the named choice, and whether the plan has that choice.
func (p *Plan) Kernel(choice string) (kernel string, ok bool) {
	for _, c := range p.Choices {
		if c.Name == choice {
			return c.Kernel, true
		}
	}
	return "", false
}

// An Executable is a compiled program.
type Executable interface {
	// Run feeds in, one tensor for each input of the program in order, and returns the outputs in order. Where out is
	// not nil its tensors, of the right type, receive the outputs and are returned. Run may be called concurrently
	// when the program has no updates. On error no slot has changed, unless the error is ErrLost.
	Run(ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error)
	// Plan returns the kernels that Compile chose. The plan is the caller's.
	Plan() *Plan
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

// A MemoryError is returned by Compile and Run when an executable would take more memory than Options.MemoryLimit.
// Nothing was allocated and nothing has changed.
type MemoryError struct {
	Backend string
	What    string // what does not fit, with its largest part: `a run with N=128, the largest value being conv2d f32[128 16 32 32]`
	Want    int64  // bytes that the executable takes with it; math.MaxInt64 when they do not fit an int64
	Limit   int64  // Options.MemoryLimit
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("backends: %s: %s: want at most %d bytes, got %d; raise Options.MemoryLimit or use a smaller batch", e.Backend, e.What, e.Limit, e.Want)
}

// A Lister is a backend that can say beforehand which ops it computes. What it computes them in is said by Compile.
type Lister interface{ Ops() []graph.Op }
