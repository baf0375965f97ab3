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

// A Loader divides a set into batches. Goroutines prepare the next batches while one is in use.
//
// The content of batch k of epoch e depends only on the fields other than Workers, on e and on k. A
// training therefore resumes bit for bit at any batch. A Loader has no state: it can be copied and
// shared, and several epochs can run at once.
type Loader struct {
	// Set is the set. It is required.
	Set Set
	// Batch is the number of examples in a batch, at least 1.
	Batch int
	// Transforms are applied to the main input of each example, in order. They need a main input of
	// dtype F32 and constant shape. Nil: none.
	Transforms []Transform
	// Shuffle selects a new order in each epoch. False: the order of the set.
	Shuffle bool
	// DropLast leaves out an incomplete last batch. False: the last batch may be smaller.
	DropLast bool
	// Seed determines the order and the random numbers of the transforms.
	Seed uint64
	// Workers is the number of goroutines, each of which prepares up to two batches. 0: one for
	// each processor, at most 4.
	Workers int
}

// A Batch holds n examples. It is valid until the iteration that yielded it ends, because the
// Loader uses its memory again.
type Batch struct {
	// Inputs and Targets have one tensor [n, dimensions of the field] for each field of the set, in
	// order. If the shape of a field has a symbol, shorter examples are padded with zeros to the
	// longest of the batch.
	Inputs, Targets []array.Tensor
}

// Len returns the number of examples.
func (b *Batch) Len() int { return b.Inputs[0].Dims[0] }

// Inputs returns the fields that the network reads, after the transforms. It is an error if a field
// of the Loader has a wrong value. If Inputs returns no error, Epoch returns one only for an
// example that cannot be read, and at the end of the context.
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
		return nil, fmt.Errorf("data: Loader.DropLast: want at least %d examples for one batch, got %d", l.Batch, l.Set.Len())
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

// Batches returns the number of batches in an epoch. It is 0 if Set is nil or Batch is below 1.
func (l Loader) Batches() int {
	if l.Set == nil || l.Batch < 1 {
		return 0
	}
	if l.DropLast {
		return l.Set.Len() / l.Batch
	}
	return (l.Set.Len() + l.Batch - 1) / l.Batch
}

// Epoch yields the batches of an epoch in order, from batch first on. Epochs and batches count from
// 0.
//
//	for batch, err := range loader.Epoch(ctx, epoch, 0) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// An error ends the sequence and is yielded with a nil batch: a field of the Loader with a wrong
// value, an example that cannot be read, the cause of the end of ctx. All goroutines have ended
// when the loop ends, also after a break.
func (l Loader) Epoch(ctx context.Context, epoch, first int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		shapes, err := l.shapes()
		if err == nil && (epoch < 0 || first < 0 || first > l.Batches()) {
			err = fmt.Errorf("data: want an epoch of 0 or more and a batch from 0 to %d, got epoch %d and batch %d",
				l.Batches(), epoch, first)
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
// Each worker fills two batches alternately and sends them on an unbuffered channel. When a batch
// is received, the loop no longer uses the batch before, whose memory can be filled again.
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
		var r result
		select {
		case r = <-handover[(k-first)%len(handover)]:
		case <-ctx.Done():
		}
		if r.err == nil && ctx.Err() != nil {
			r.err = fmt.Errorf("data: epoch %d, batch %d: %w", epoch, k, context.Cause(ctx))
		}
		if r.err != nil {
			yield(nil, r.err)
			return
		}
		if !yield(r.batch, nil) {
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

// assembler holds the memory of one worker: two batches, and two buffers for an example between
// transforms.
type assembler struct {
	Loader
	fields  []graph.Field // of the set: inputs, then targets
	inputs  int           // number of inputs in fields
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

// assemble fills the batch that the loop does not use.
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

// example reads example i and transforms its main input. The tensors of fields of constant shape
// are in the memory of the batch. Those of other fields are none, and example sets them.
func (a *assembler) example(tensors []array.Tensor, i int) error {
	// stage returns the memory of the main input before transform t. After the last transform that
	// is the memory of the batch.
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
	given := slices.Clone(read)
	if err := a.Set.Read(i, Example{Inputs: read[:a.inputs:a.inputs], Targets: read[a.inputs:]}); err != nil {
		return err
	}
	for k, t := range given {
		if !t.None() && !sameMemory(t, read[k]) {
			return fmt.Errorf("field %q: want Read to fill the tensor, got another one in its place", a.fields[k].Name)
		}
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

// sameMemory reports whether t and u, of constant shape, share all their memory.
func sameMemory(t, u array.Tensor) bool {
	return len(t.Data) == len(u.Data) && &t.Data[0] == &u.Data[0]
}
