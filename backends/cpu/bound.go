package cpu

import (
	"sync"
	"time"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A bound is a lowered program bound to sizes: its stages, and an offset for every buffer.
type bound struct {
	*lowered
	isa         kernels.InstructionSet
	threads     int
	sizes       graph.Sizes
	dims        [][]int
	bufOf       []bufID
	buffers     []buffer
	stages      []*stage
	arena       int // bytes
	workerBytes int // of each worker, for buffers inWorker
	scratch     int // floats of each worker

	mu     sync.Mutex
	frames []*frame // not in use
}

// A window is the first item of a block, and the number of items of its stage.
type window struct{ first, items int }

// A frame is the memory of one run that is not in the arena. The bound program keeps it for the
// next run.
type frame struct {
	bound   *bound
	isa     kernels.InstructionSet
	bytes   [][]byte    // by buffer; nil for those inWorker
	floats  [][]float32 // the same memory
	at      []window    // by worker: its block
	scratch [][]float32 // by worker
	local   [][]byte    // by worker: buffers inWorker
	jobs    []*job      // by stage
	times   *profile    // nil unless profiling

	mu     sync.Mutex
	err    error // of the lowest chunk that failed
	failed int
}

func (p *bound) newFrame(times *profile) *frame {
	f := &frame{
		bound: p, isa: p.isa, times: times,
		bytes: make([][]byte, len(p.buffers)), floats: make([][]float32, len(p.buffers)),
		at: make([]window, p.threads), scratch: make([][]float32, p.threads), local: make([][]byte, p.threads),
		jobs: make([]*job, len(p.stages)),
	}
	for w := range p.threads {
		f.scratch[w] = kernels.Floats(p.scratch)
		f.local[w] = bytesOf(kernels.Floats(p.workerBytes / 4))
	}
	for i := range f.jobs {
		r := p.stages[i]
		f.jobs[i] = newJob(r.chunks(), func(worker, chunk int) {
			if err := r.run(f, worker, chunk); err != nil {
				f.fail(chunk, err)
			}
		})
	}
	return f
}

// fail keeps the error of the lowest chunk. That error does not depend on timing.
func (f *frame) fail(chunk int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil || chunk < f.failed {
		f.err, f.failed = err, chunk
	}
}

// take returns a frame that is not in use, or a new one.
func (p *bound) take(times *profile) *frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.frames); n > 0 {
		f := p.frames[n-1]
		p.frames = p.frames[:n-1]
		return f
	}
	return p.newFrame(times)
}

// give returns a frame, without the memory of the arena and of the caller.
func (p *bound) give(f *frame) {
	clear(f.bytes)
	clear(f.floats)
	f.err = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frames = append(p.frames, f)
}

// set gives a buffer its memory.
func (f *frame) set(id bufID, data []byte) {
	f.bytes[id] = data
	f.floats[id] = floatsOf(data)
}

// attach gives memory to all buffers in the arena and among the constants.
func (f *frame) attach(arena []byte) {
	for i := range f.bound.buffers {
		root := &f.bound.buffers[i]
		for root.shares >= 0 {
			root = &f.bound.buffers[root.shares]
		}
		switch root.home.kind {
		case inArena:
			f.set(bufID(i), arena[root.offset:root.offset+root.bytes:root.offset+root.bytes])
		case inConstant:
			f.set(bufID(i), f.bound.consts[root.home.index].Data)
		}
	}
}

// all returns all floats of a buffer.
func (f *frame) all(id bufID) []float32 { return f.floats[id] }

// piece returns the floats of the items i0 ≤ i < i1 of a buffer, in a local phase.
func (f *frame) piece(w int, id bufID, i0, i1 int) []float32 {
	b, at := &f.bound.buffers[id], f.at[w]
	each := b.bytes / 4 / at.items
	if b.home.kind == inWorker {
		return floatsOf(f.local[w][b.offset:])[(i0-at.first)*each : (i1-at.first)*each]
	}
	return f.floats[id][i0*each : i1*each]
}

// tensor returns a whole buffer as a tensor of type d without dimensions.
func (f *frame) tensor(id bufID, d array.DType) array.Tensor {
	return array.Tensor{DType: d, Data: f.bytes[id]}
}

func floatsOf(data []byte) []float32 { return array.Tensor{DType: array.F32, Data: data}.F32() }

func bytesOf(x []float32) []byte {
	t, err := array.From(x)
	if err != nil { // no elements
		return nil
	}
	return t.Data
}

// timed runs a phase and, in a profile, measures its time.
func (f *frame) timed(ph *phase, w, i0, i1 int) error {
	if f.times == nil {
		return ph.run(f, w, i0, i1)
	}
	start := time.Now()
	err := ph.run(f, w, i0, i1)
	f.times.add(ph.step, time.Since(start))
	return err
}
