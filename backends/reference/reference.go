// Package reference is the backend that defines the result of every op. It is plain Go and slow;
// its code is short enough to be checked by reading.
//
// Each op has one kernel, a function over whole arrays, in the table of kernels.go. The files
// op_*.go have the names of the files of package graph that declare their ops. Floats of all types
// are computed in float64, integers and bits in int64. A result of type F32 is rounded to float32
// once, after its op. So this backend is at least as exact as any other, and package
// backends/backendtest measures the others by their distance from it.
//
// F32 and F64 have arithmetic; I8, I32, I64 and Bit can be kept, moved and compared. F16 and BF16
// are storage types: Compile returns a [backends.UnsupportedError] for a program that has values of
// them.
package reference

import (
	"context"
	"sync/atomic"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
)

const (
	name           = "reference"
	instructionSet = "go"
)

// New returns the reference backend. It has no resources apart from the tensors of its sessions.
func New() backends.Backend { return &backend{} }

type backend struct{ closed atomic.Bool }

func (b *backend) Info() backends.Info {
	return backends.Info{Name: name, InstructionSet: instructionSet, Deterministic: true, Threads: 1}
}

func (b *backend) NewSession(ctx context.Context) (backends.Session, error) {
	if b.closed.Load() {
		return nil, backends.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &session{backend: b, slots: map[string]operand{}}, nil
}

func (b *backend) Close() error {
	b.closed.Store(true)
	return nil
}

// supported reports whether the kernels have values of type d.
func supported(d array.DType) bool { return d.Valid() && d != array.F16 && d != array.BF16 }
