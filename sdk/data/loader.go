package data

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"

	"github.com/compressaware/cram/internal/gorgonia"
)

// Loader cuts a set into batches, prepared in the background while the last one is in use.
//
// What batch k of epoch e holds depends on the fields, e and k alone: neither on Workers, nor on what was read before.
// A training run therefore resumes bit for bit by asking for the batch it had come to. A Loader holds no state; copy
// it, share it, run several epochs at once.
type Loader struct {
	Set        Set
	Batch      int         // examples in a batch
	Transforms []Transform // applied to each example, in order
	Shuffle    bool        // a new order every epoch; otherwise the set's own
	DropLast   bool        // leave out an incomplete last batch
	Seed       uint64      // of the order and of the transforms
	Workers    int         // background goroutines, each up to two batches ahead; 0 means one a core, four at most
}

// Batch is some examples and their labels. It is valid until the iteration that yielded it ends: then the memory is
// filled with another batch. Keep what is needed longer by copying it.
type Batch struct {
	Shape []int     // [n, C, H, W]: n, then the shape of one example
	X     []float32 // the examples, row-major
	Y     []int32   // n labels
}

// Shape returns the dimensions of one example after the transforms. It is an error if a field of the Loader is unfit;
// a Loader that answers Shape without error fails later only where reading an example does.
func (l Loader) Shape() ([]int, error) {
	shapes, err := l.shapes()
	if err != nil {
		return nil, err
	}
	return shapes[len(shapes)-1], nil
}

// shapes returns the dimensions before and after each transform.
func (l Loader) shapes() ([][]int, error) {
	switch {
	case l.Set == nil:
		return nil, fmt.Errorf("data: Loader.Set is nil: give it a data set")
	case l.Set.Len() < 1:
		return nil, fmt.Errorf("data: Loader.Set is empty")
	case l.Batch < 1:
		return nil, fmt.Errorf("data: Loader.Batch is %d, expected at least 1", l.Batch)
	case l.Workers < 0:
		return nil, fmt.Errorf("data: Loader.Workers is %d, expected 0 or more", l.Workers)
	case l.Batches() == 0:
		return nil, fmt.Errorf("data: DropLast leaves no batch of %d in a set of %d examples", l.Batch, l.Set.Len())
	}
	shapes := [][]int{slices.Clone(l.Set.Shape())}
	for i, t := range l.Transforms {
		if t == nil {
			return nil, fmt.Errorf("data: Loader.Transforms[%d] is nil", i)
		}
		out, err := t.Shape(shapes[i])
		if err != nil {
			return nil, fmt.Errorf("data: Loader.Transforms[%d]: %w", i, err)
		}
		shapes = append(shapes, out)
	}
	for _, shape := range shapes {
		if _, err := gorgonia.Elements(shape); err != nil {
			return nil, fmt.Errorf("data: Loader: shape of one example: %w", err)
		}
	}
	return shapes, nil
}

// Batches returns the number of batches in an epoch, 0 if Set is nil or Batch below one.
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
// An error (an unfit field, an example that cannot be read, a context that ended) comes with a nil batch and is the
// last thing yielded. Leaving the loop early stops the background work: no goroutine outlives the loop.
func (l Loader) Epoch(ctx context.Context, epoch, first int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		shapes, err := l.shapes()
		if err == nil && (epoch < 0 || first < 0 || first > l.Batches()) {
			err = fmt.Errorf("data: epoch %d from batch %d: expected an epoch of 0 or more and a batch from 0 to %d", epoch, first, l.Batches())
		}
		if err != nil {
			yield(nil, err)
			return
		}
		l.run(ctx, shapes, epoch, first, yield)
	}
}

// run deals the batches out to the workers in turn and collects them in the same turn.
//
// Each worker fills two batches alternately and hands them over an unbuffered channel. When it has handed one over,
// the consumer has come back for more, so that the other one is free again.
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
			a := newAssembler(l, shapes, epoch)
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

// assembler is one worker's memory: two batches, and room for an example between two transforms.
type assembler struct {
	Loader
	classes []string
	shapes  [][]int
	sizes   []int // values in an example before and after each transform
	epoch   int
	batches [2]Batch
	stages  [2][]float32
}

func newAssembler(l Loader, shapes [][]int, epoch int) *assembler {
	a := &assembler{Loader: l, classes: l.Set.Classes(), shapes: shapes, epoch: epoch}
	for _, shape := range shapes {
		size, _ := gorgonia.Elements(shape) // shapes has checked it
		a.sizes = append(a.sizes, size)
	}
	n, largest := min(l.Batch, l.Set.Len()), slices.Max(a.sizes)
	for i := range a.batches {
		a.batches[i].X = make([]float32, n*a.sizes[len(l.Transforms)])
		a.batches[i].Y = make([]int32, n)
		a.stages[i] = make([]float32, largest)
	}
	return a
}

// assemble fills the batch that is free.
func (a *assembler) assemble(ctx context.Context, indices []int) (*Batch, error) {
	a.batches[0], a.batches[1] = a.batches[1], a.batches[0]
	n, last := len(indices), len(a.Transforms)
	b := &Batch{
		Shape: append([]int{n}, a.shapes[last]...),
		X:     a.batches[0].X[:n*a.sizes[last]],
		Y:     a.batches[0].Y[:n],
	}
	for at, i := range indices {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		label, err := a.example(b.X[at*a.sizes[last]:][:a.sizes[last]], i)
		if err == nil {
			err = checkLabel(label, a.classes)
		}
		if err != nil {
			return nil, fmt.Errorf("example %d: %w", i, err)
		}
		b.Y[at] = int32(label)
	}
	return b, nil
}

// example reads example i and writes what the transforms make of it to dst.
func (a *assembler) example(dst []float32, i int) (label int, err error) {
	// stage is where the example lies before transform t, in dst once no transform is left.
	stage := func(t int) []float32 {
		if t == len(a.Transforms) {
			return dst
		}
		return a.stages[t%2][:a.sizes[t]]
	}
	if label, err = a.Set.Read(i, stage(0)); err != nil {
		return 0, err
	}
	r := NewRandom(streamAugment, a.Seed, uint64(a.epoch), uint64(i))
	for t, transform := range a.Transforms {
		transform.Apply(stage(t+1), stage(t), a.shapes[t], r)
	}
	return label, nil
}
