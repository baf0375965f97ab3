package cpu

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
)

// Options configure a backend. The zero value uses every core and the best instructions the processor has.
type Options struct {
	// Threads is the number of workers; 0 means runtime.GOMAXPROCS(0). Results do not depend on it.
	Threads int
	// Level names the instruction set: "portable", "avx2" or "avx512". Empty means the one that the environment variable CRAM_CPU names,
	// or else the best the processor has.
	InstructionSet string
	// Profile makes executables keep the time of every step; see [Profiler].
	Profile bool
}

// Backend is the CPU as a [backends.Backend]. The zero value, and nil, are one that is closed; [New] makes one.
type Backend struct {
	level   kernels.InstructionSet
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

// maxThreads bounds Options.Threads; more workers than this is a mistake.
const maxThreads = 1024

// New starts a backend and its workers, which end at Close. It is an error to ask for instructions the processor lacks.
func New(o Options) (*Backend, error) {
	threads := o.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if threads < 1 || threads > maxThreads {
		return nil, fmt.Errorf("cpu: %d threads: want 1 to %d, or 0 for all cores", o.Threads, maxThreads)
	}
	level, err := chooseLevel(o.InstructionSet)
	if err != nil {
		return nil, err
	}
	return &Backend{level: level, threads: threads, profile: o.Profile, parts: batchParts, pool: newPool(threads)}, nil
}

func chooseLevel(name string) (kernels.InstructionSet, error) {
	if name == "" {
		return kernels.Detect()
	}
	level, err := kernels.ParseInstructionSet(name)
	if err != nil {
		return kernels.Portable, err
	}
	if most := kernels.Supported(); level > most {
		return kernels.Portable, fmt.Errorf("cpu: level %s: this processor and build offer at most %s", level, most)
	}
	return level, nil
}

// Info says which instructions and how many workers the backend uses.
func (b *Backend) Info() backends.Info {
	if b == nil {
		b = &Backend{}
	}
	return backends.Info{Name: "cpu", InstructionSet: b.level.String(), Deterministic: true, Threads: b.threads}
}

// NewSession returns a session without slots.
func (b *Backend) NewSession(ctx context.Context) (backends.Session, error) {
	if b == nil || b.pool == nil || b.closed.Load() {
		return nil, backends.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return newSession(b), nil
}

// Close ends the workers, once runs in flight have ended. Later calls on the backend, its sessions and executables return [backends.ErrClosed].
func (b *Backend) Close() error {
	if b != nil && b.pool != nil && b.closed.CompareAndSwap(false, true) {
		b.pool.close()
	}
	return nil
}
