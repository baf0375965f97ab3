// Package backends defines the interfaces of a backend, which runs programs on one kind of device.
//
// Most code should use package [github.com/compressaware/cram/sdk]. This package is for authors of
// backends and for programs that run a [graph.Program] themselves.
//
//	your code → sdk → Backend → Session → Executable.Run → kernels of the device
//
// A [Backend] opens sessions. A [Session] owns slots, the tensors that live between runs, and
// compiles programs that read and update them. An [Executable] runs one program. An op is data, so
// a new op adds a kernel to a backend and no method to an interface. Compile reports everything
// that a backend lacks for a program in one [UnsupportedError].
//
// To write a backend, switch over the Op of each [graph.Instr], take the meaning of each op from
// package backends/reference, and run the suite of package backends/backendtest.
//
// The caller owns the tensors that it passes to a call, and a backend only reads them during that
// call. The caller also owns the tensors that a call returns. Slots never share memory with either.
package backends

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// ErrLost is returned (wrapped) by the methods of a session and its executables when the state of
// the session is gone or unknown: the device failed, or the process of a plugin ended during a run.
// After any other error of Run the slots are unchanged.
var ErrLost = errors.New("backends: session lost")

// ErrClosed is returned by every method except Close, Info and Plan after Close of the value or of
// the value that made it.
var ErrClosed = errors.New("backends: closed")

// Info describes a backend.
type Info struct {
	// Name is the name of the backend: "cpu", "reference". It is never empty.
	Name string
	// InstructionSet is the instruction set that the kernels use: "avx512", "avx2", "portable",
	// "go". It is empty when a device has only one.
	InstructionSet string
	// Deterministic is true when equal inputs give the same bits in every run.
	Deterministic bool
	// Threads is the number of workers, 0 when a device has none.
	Threads int
}

// A Backend runs programs on a device. Its methods are safe for concurrent use.
type Backend interface {
	// Info describes the backend. It works after Close, too.
	Info() Info
	// NewSession returns a session without slots.
	NewSession(ctx context.Context) (Session, error)
	// Close frees the device. Sessions and executables return ErrClosed afterwards.
	Close() error
}

// A Session owns slots and the executables that use them. At most one goroutine at a time may call
// its methods, and Run of an executable that updates slots.
type Session interface {
	// Set decodes v and makes it the value of a slot. If the session does not have the slot, Set
	// makes it with the type of v. If it has, a value of another type is an error.
	Set(ctx context.Context, slot string, v array.Value) error
	// Get returns a copy of the value of a slot.
	Get(ctx context.Context, slot string) (array.Tensor, error)
	// Compile prepares a program. It makes the slots that the program declares and the session
	// does not have, filled with zeros. After an error the session is unchanged.
	Compile(ctx context.Context, p *graph.Program, o Options) (Executable, error)
	// Close frees the slots.
	Close() error
}

// Options configure one compilation. The zero value is right for training.
type Options struct {
	// Const contains, by slot name, the slots that never change while the executable exists, in any
	// encoding. Compile may pack them, fold them or keep them sparse. They are not slots of the
	// session, and a program that updates one is an error. nil: every slot is the session's.
	Const map[string]array.Value
	// Pin fixes the kernels of its Choices, as Plan of an earlier executable of the same program
	// returned them; its other fields are not used. A choice or a kernel that this compilation does
	// not have is an error. A choice that Pin does not list, and every choice when Pin is nil, is
	// made by a fixed rule of shapes and counts of nonzeros, and by timing only where Const makes a
	// weight constant.
	Pin *Plan
	// MemoryLimit is the number of bytes that the executable may take: for its constants, for the
	// slots that Compile makes, and for the intermediate values and the outputs of one run. Compile
	// and Run return a [MemoryError] before they allocate more. 0 means no limit; a negative limit
	// is an error.
	MemoryLimit int64
}

// A Plan lists the kernels that Compile chose, and where it chose them.
type Plan struct {
	// Device is the model of the processor or accelerator; "" if the backend cannot name it.
	Device string
	// InstructionSet and Threads are those of Info.
	InstructionSet string
	Threads        int
	// Batch is the batch size at which kernels were timed; 0 if none was.
	Batch int
	// Choices are in the order of the program, each Name once.
	Choices []Choice
}

// A Choice is one place in a program where a backend has several kernels to choose from.
type Choice struct {
	// Name identifies the choice: "conv1.weight: conv2d 16→16 3×3".
	Name string
	// Kernel is the kernel that was chosen: "direct", "sparse".
	Kernel string
	// Times are those of the kernels that were timed; empty if a rule or Pin chose.
	Times []KernelTime
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
	// Run takes one tensor for each input of the program, in order, and returns the outputs in
	// order. If out is not nil, it has one tensor of the right type for each output; Run writes the
	// outputs to these tensors and returns them. Any number of goroutines may call Run when the
	// program has no updates. After an error no slot has changed, unless the error is ErrLost.
	Run(ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error)
	// Plan returns the kernels that Compile chose. The plan is the caller's.
	Plan() *Plan
	// Close frees the memory of the executable. The slots remain with the session.
	Close() error
}

// An UnsupportedError is returned by Compile when a backend cannot run a program.
type UnsupportedError struct {
	Backend string   // name of the backend
	Missing []string // every op that is missing, with the dtype: "conv2d f64", "gather bf16"
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("backends: %s lacks %s; use another backend or rewrite the program", e.Backend, strings.Join(e.Missing, ", "))
}

// A MemoryError is returned by Compile and Run when an executable needs more memory than
// Options.MemoryLimit. The session is unchanged.
type MemoryError struct {
	// Backend is the name of the backend.
	Backend string
	// What does not fit: a constant, a slot, or "a run with N=128, the largest value being conv2d
	// f32[128 16 32 32]".
	What string
	// Want is the number of bytes that the executable needs up to and including What,
	// math.MaxInt64 when an int64 cannot represent it.
	Want int64
	// Limit is Options.MemoryLimit.
	Limit int64
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("backends: %s: %s: want at most %d bytes, got %d; raise Options.MemoryLimit or use a smaller batch", e.Backend, e.What, e.Limit, e.Want)
}

// A Lister is a backend that lists its ops before a program is compiled.
type Lister interface {
	// Ops returns the ops that the backend has. Compile reports the dtypes that an op lacks.
	Ops() []graph.Op
}
