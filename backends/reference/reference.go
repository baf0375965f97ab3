// Package reference is the backend that defines every op: plain Go, slow, and written to be seen right.
//
// Each op has one kernel, a function over whole arrays, in the table of kernels.go; the files op_*.go stand beside their
// namesakes in sdk/graph. Floats are held as float64 whatever their declared type, integers and bits as int64, and a
// result declared F32 is rounded to float32 once, after its op. So this backend is at least as exact as any other, and
// backends/backendtest measures the others by their distance from it.
//
// F32 and F64 are computed with; I8, I32, I64 and Bit are held and moved. F16 and BF16 are storage types: a program that
// has values of them gets a [backends.UnsupportedError] from Compile.
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

// New returns the reference backend. It holds nothing but the sessions' tensors and never fails.
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

// supported reports whether the kernels hold values of type d.
func supported(d array.DType) bool { return d.Valid() && d != array.F16 && d != array.BF16 }
