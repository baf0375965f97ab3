package data

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"

	"github.com/compressaware/cram/internal/gorgonia"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Loader divides a set into batches, prepared in the background while the previous one is in use.
//
// The content of batch k of epoch e depends on the fields, e and k alone: neither on Workers nor on
// what was read before. A training therefore resumes bit for bit when it asks for the batch it had
// reached. A Loader holds no state: it may be copied and shared, and several epochs may run at
// once.
type Loader struct {
	Set        Set
	Batch      int         // examples in a batch, at least 1
	Transforms []Transform // applied to the main input of each example, in order; it is then f32
	Shuffle    bool        // a new order every epoch; otherwise the set's own
	DropLast   bool        // leave out an incomplete last batch
	Seed       uint64      // of the order and of the transforms
	Workers    int         // background goroutines, each up to two batches ahead; 0 means one a core, at most 4
}

// A Batch holds some examples: one tensor [n, shape of the field] for each field of the set, in
// order. Where the shape of a field has a symbol, shorter examples are padded with zeros to the
// longest of the batch. A Batch is valid until the iteration that yielded it ends; then its memory
// is filled with another one. Copy what is needed longer.
type Batch struct {
	Inputs, Targets []array.Tensor
}

// Len returns the number of examples.
func (b *Batch) Len() int { return b.Inputs[0].Dims[0] }

// Inputs returns the fields that a network is fed, after the transforms. It is an error if a field
// of the Loader is unfit; a Loader for which Inputs returns no error fails later only where an
// example cannot be read.
func (l Loader) Inputs() ([]graph.Field, error) {
	shapes, err := l.shapes()
	if err != nil {
		return nil, err
	}
	inputs := slices.Clone(l.Set.Inputs())
	if len(l.Transforms) > 0 {
		inputs[0].Shape = graph.Of(shapes[len(shapes)-1]...)
	}
	return inputs, nil
}

// shapes checks the Loader and returns the dimensions of the main input before and after each
// transform; nil where there is no transform.
func (l Loader) shapes() ([][]int, error) {
	switch {
	case l.Set == nil:
		return nil, errors.New("data: Loader.Set: want a data set, got nil")
	case l.Set.Len() < 1:
		return nil, errors.New("data: Loader.Set: want at least one example, got none")
	case l.Batch < 1:
		return nil, fmt.Errorf("data: Loader.Batch: want at least 1, got %d", l.Batch)
	case l.Workers < 0:
		return nil, fmt.Errorf("data: Loader.Workers: want 0 or more, got %d", l.Workers)
	case l.Batches() == 0:
		return nil, fmt.Errorf("data: Loader.DropLast leaves no batch of %d in a set of %d examples", l.Batch, l.Set.Len())
	}
	if err := checkFields(l.Set.Inputs(), l.Set.Targets()); err != nil {
		return nil, fmt.Errorf("data: Loader.Set: %w", err)
	}
	if len(l.Transforms) == 0 {
		return nil, nil
	}
	main := l.Set.Inputs()[0]
	dims, constant := main.Shape.Dims()
	if main.DType != array.F32 || !constant {
		return nil, fmt.Errorf("data: Loader.Transforms: want a main input of type f32 and constant shape, got %q %v", main.Name, main.Type)
	}
	shapes := [][]int{dims}
	for i, t := range l.Transforms {
		if t == nil {
			return nil, fmt.Errorf("data: Loader.Transforms[%d]: want a Transform, got nil", i)
		}
		out, err := t.Shape(shapes[i])
		if err != nil {
			return nil, fmt.Errorf("data: Loader.Transforms[%d]: %w", i, err)
		}
		if _, err := gorgonia.Elements(out); err != nil {
			return nil, fmt.Errorf("data: Loader.Transforms[%d]: shape of one example: %w", i, err)
		}
		shapes = append(shapes, out)
	}
	return shapes, nil
}

// Batches returns the number of batches in an epoch; 0 if Set is nil or Batch is below 1.
func (l Loader) Batches() int {
	if l.Set == nil || l.Batch < 1 {
		return 0
	}
	if l.DropLast {
		return l.Set.Len() / l.Batch
	}
	return (l.Set.Len() + l.Batch - 1) / l.Batch
}

// Epoch yields the batches of an epoch from index first on (0 for all of them), in order:
//
//	for batch, err := range loader.Epoch(ctx, epoch, 0) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// An error (an unfit field, an example that cannot be read, a context that ended) is yielded with a
// nil batch and ends the sequence. Leaving the loop early stops the background work: no goroutine
// outlives the loop.
func (l Loader) Epoch(ctx context.Context, epoch, first int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		shapes, err := l.shapes()
		if err == nil && (epoch < 0 || first < 0 || first > l.Batches()) {
			err = fmt.Errorf("data: want an epoch of 0 or more and a batch from 0 to %d, got epoch %d and batch %d", l.Batches(), epoch, first)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		l.run(ctx, shapes, epoch, first, yield)
	}
}

// run distributes the batches over the workers in turn and collects them in the same order.
//
// Each worker fills two batches alternately and sends them on an unbuffered channel. Once one is
// received, the consumer is done with the one before, so that its memory is free again.
func (l Loader) run(ctx context.Context, shapes [][]int, epoch, first int, yield func(*Batch, error) bool) {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()

	order := l.order(epoch)
	last := l.Batches()
	handover := make([]chan result, min(l.workers(), max(last-first, 1)))
	for w := range handover {
		out := make(chan result)
		handover[w] = out
		running.Go(func() {
			a, err := newAssembler(l, shapes, epoch)
			if err != nil {
				select {
				case out <- result{nil, err}:
				case <-ctx.Done():
				}
				return
			}
			for k := first + w; k < last; k += len(handover) {
				batch, err := a.assemble(ctx, order[k*l.Batch:min((k+1)*l.Batch, len(order))])
				if err != nil {
					err = fmt.Errorf("data: epoch %d, batch %d: %w", epoch, k, err)
				}
				select {
				case out <- result{batch, err}:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		})
	}
	for k := first; k < last; k++ {
		select {
		case r := <-handover[(k-first)%len(handover)]:
			if r.err == nil {
				r.err = context.Cause(ctx)
			}
			if r.err != nil {
				yield(nil, r.err)
				return
			}
			if !yield(r.batch, nil) {
				return
			}
		case <-ctx.Done():
			yield(nil, fmt.Errorf("data: epoch %d, batch %d: %w", epoch, k, context.Cause(ctx)))
			return
		}
	}
}

type result struct {
	batch *Batch
	err   error
}

// order returns the indices of the examples in the order of an epoch.
func (l Loader) order(epoch int) []int {
	if l.Shuffle {
		return NewRandom(streamShuffle, l.Seed, uint64(epoch)).Perm(l.Set.Len())
	}
	order := make([]int, l.Set.Len())
	for i := range order {
		order[i] = i
	}
	return order
}

func (l Loader) workers() int {
	if l.Workers > 0 {
		return l.Workers
	}
	return min(runtime.GOMAXPROCS(0), 4)
}

// assembler holds the memory of one worker: two batches, and space for an example between
// transforms.
type assembler struct {
	Loader
	fields  []graph.Field // of the set: inputs, then targets
	inputs  int           // how many of fields are inputs
	shapes  [][]int       // of the main input before and after each transform
	epoch   int
	batches [2][]array.Tensor // for each field of constant shape, at full size
	stages  [2][]float32
}

func newAssembler(l Loader, shapes [][]int, epoch int) (*assembler, error) {
	a := &assembler{Loader: l, inputs: len(l.Set.Inputs()), shapes: shapes, epoch: epoch}
	a.fields = slices.Concat(l.Set.Inputs(), l.Set.Targets())
	if len(shapes) > 0 {
		a.fields[0].Shape = graph.Of(shapes[len(shapes)-1]...)
		largest := 0
		for _, shape := range shapes {
			largest = max(largest, array.Count(shape))
		}
		a.stages = [2][]float32{make([]float32, largest), make([]float32, largest)}
	}
	n := min(l.Batch, l.Set.Len())
	for b := range a.batches {
		a.batches[b] = make([]array.Tensor, len(a.fields))
		for k, f := range a.fields {
			dims, constant := f.Shape.Dims()
			if !constant {
				continue
			}
			t, err := array.New(f.DType, append([]int{n}, dims...)...)
			if err != nil {
				return nil, fmt.Errorf("data: field %q: batch of %d: %w", f.Name, n, err)
			}
			a.batches[b][k] = t
		}
	}
	return a, nil
}

// assemble fills the batch that is free.
func (a *assembler) assemble(ctx context.Context, indices []int) (*Batch, error) {
	a.batches[0], a.batches[1] = a.batches[1], a.batches[0]
	full := a.batches[0]
	ragged := make([][]array.Tensor, len(a.fields)) // by field of symbolic shape, then by example
	for at, i := range indices {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		tensors := make([]array.Tensor, len(a.fields))
		for k, t := range full {
			if !t.None() {
				tensors[k] = row(t, at)
			}
		}
		if err := a.example(tensors, i); err != nil {
			return nil, fmt.Errorf("example %d: %w", i, err)
		}
		for k, t := range full {
			if t.None() {
				ragged[k] = append(ragged[k], tensors[k])
			}
		}
	}
	batch := make([]array.Tensor, len(a.fields))
	for k, t := range full {
		if !t.None() {
			batch[k] = rows(t, len(indices))
		}
	}
	if err := pad(batch, a.fields, ragged); err != nil {
		return nil, err
	}
	return &Batch{Inputs: batch[:a.inputs:a.inputs], Targets: batch[a.inputs:]}, nil
}

// example reads example i and transforms its main input. Tensors of fields of constant shape share
// the memory of the batch; those of other fields are none and are set.
func (a *assembler) example(tensors []array.Tensor, i int) error {
	// stage is the memory of the main input before transform t: that of the batch after the last
	// one.
	stage := func(t int) []float32 {
		if t == len(a.Transforms) {
			return tensors[0].F32()
		}
		return a.stages[t%2][:array.Count(a.shapes[t])]
	}
	read := slices.Clone(tensors)
	if len(a.Transforms) > 0 {
		first, err := array.From(stage(0), a.shapes[0]...)
		if err != nil {
			return err
		}
		read[0] = first
	}
	if err := a.Set.Read(i, Example{Inputs: read[:a.inputs:a.inputs], Targets: read[a.inputs:]}); err != nil {
		return err
	}
	r := NewRandom(streamAugment, a.Seed, uint64(a.epoch), uint64(i))
	for t, transform := range a.Transforms {
		transform.Apply(stage(t+1), stage(t), a.shapes[t], r)
	}
	for k := range tensors {
		if tensors[k].None() {
			tensors[k] = read[k]
		}
	}
	return nil
}
