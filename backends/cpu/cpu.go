package cpu

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
)

// Options configure a backend. The zero value uses all cores and the best instruction set of the
// processor.
type Options struct {
	// Threads is the number of workers; 0 means runtime.GOMAXPROCS(0). Results do not depend on it.
	Threads int
	// InstructionSet is "portable", "avx2" or "avx512". Empty means the one that the environment
	// variable CRAM_CPU contains, or the best of the processor if that is empty, too.
	InstructionSet string
	// Profile makes executables measure the time of every step; see [Profiler].
	Profile bool
}

// Backend is the CPU as a [backends.Backend]. [New] makes one.
type Backend struct {
	isa     kernels.InstructionSet
	threads int
	profile bool
	parts   int // of a batch: see batch
	pool    *pool
	closed  atomic.Bool
}

var (
	_ backends.Backend = (*Backend)(nil)
	_ backends.Lister  = (*Backend)(nil)
)

// maxThreads bounds Options.Threads.
const maxThreads = 1024

// New starts a backend and its workers, which end at Close. An instruction set that the processor
// lacks is an error.
func New(o Options) (*Backend, error) {
	threads := o.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if threads < 1 || threads > maxThreads {
		return nil, fmt.Errorf("cpu: %d threads: want 1 to %d, or 0 for all cores", o.Threads, maxThreads)
	}
	isa, err := chooseInstructionSet(o.InstructionSet)
	if err != nil {
		return nil, err
	}
	return &Backend{isa: isa, threads: threads, profile: o.Profile, parts: batchParts, pool: newPool(threads)}, nil
}

func chooseInstructionSet(name string) (kernels.InstructionSet, error) {
	if name == "" {
		return kernels.Detect()
	}
	isa, err := kernels.ParseInstructionSet(name)
	if err != nil {
		return kernels.Portable, err
	}
	if most := kernels.Supported(); isa > most {
		return kernels.Portable, fmt.Errorf("cpu: instruction set %s: this processor and build have at most %s", isa, most)
	}
	return isa, nil
}

// Info returns the instruction set and the number of workers.
func (b *Backend) Info() backends.Info {
	return backends.Info{Name: "cpu", InstructionSet: b.isa.String(), Deterministic: true, Threads: b.threads}
}

// NewSession returns a session without slots.
func (b *Backend) NewSession(ctx context.Context) (backends.Session, error) {
	if b.closed.Load() {
		return nil, backends.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return newSession(b), nil
}

// Close ends the workers after the runs in progress. Later calls of the backend, its sessions and
// executables return [backends.ErrClosed].
func (b *Backend) Close() error {
	if b.closed.CompareAndSwap(false, true) {
		b.pool.close()
	}
	return nil
}
