package data_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compressaware/cram/sdk/data"
)

// numbered is a collection of n images [1 2 2]. All pixels of an image are its index, which is also
// its label.
type numbered struct {
	n    int
	read func(i int) error // runs before each Read; may be nil
}

func (s numbered) Len() int        { return s.n }
func (numbered) Shape() []int      { return []int{1, 2, 2} }
func (numbered) Classes() []string { return nil }

func (s numbered) Read(i int, dst []float32) (int, error) {
	if s.read != nil {
		if err := s.read(i); err != nil {
			return 0, err
		}
	}
	for k := range dst {
		dst[k] = float32(i)
	}
	return i, nil
}

// batch is a copy of a batch of a labelled collection.
type batch struct {
	shape []int
	x     []float32
	y     []int32
}

// labeled returns a labelled collection as a set.
func labeled(t *testing.T, l data.Labeled) data.Set {
	t.Helper()
	s, err := data.FromLabeled(l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// collect copies the batches of an epoch.
func collect(t *testing.T, l data.Loader, epoch, first int) []batch {
	t.Helper()
	var batches []batch
	for b, err := range l.Epoch(t.Context(), epoch, first) {
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, batch{shape: b.Inputs[0].Dims, x: slices.Clone(b.Inputs[0].F32()), y: slices.Clone(b.Targets[0].I32())})
	}
	return batches
}

func sameBatches(a, b []batch) bool {
	return slices.EqualFunc(a, b, func(a, b batch) bool {
		return slices.Equal(a.shape, b.shape) && slices.Equal(a.x, b.x) && slices.Equal(a.y, b.y)
	})
}

func labels(batches []batch) (all []int32) {
	for _, b := range batches {
		all = append(all, b.y...)
	}
	return all
}

func TestEpochHoldsEveryExampleOnce(t *testing.T) {
	for _, c := range []struct {
		n, batch int
		dropLast bool
		sizes    []int
	}{
		{10, 4, false, []int{4, 4, 2}},
		{10, 4, true, []int{4, 4}},
		{8, 4, true, []int{4, 4}},
		{3, 8, false, []int{3}},
		{1, 1, false, []int{1}},
	} {
		l := data.Loader{Set: labeled(t, numbered{n: c.n}), Batch: c.batch, DropLast: c.dropLast, Shuffle: true, Seed: 3}
		batches := collect(t, l, 0, 0)
		if len(batches) != len(c.sizes) || l.Batches() != len(c.sizes) {
			t.Fatalf("%+v: got %d batches, Batches returns %d, want %d", c, len(batches), l.Batches(), len(c.sizes))
		}
		seen := make(map[int32]bool)
		for k, b := range batches {
			if n := c.sizes[k]; !slices.Equal(b.shape, []int{n, 1, 2, 2}) || len(b.y) != n || len(b.x) != 4*n {
				t.Errorf("%+v: batch %d has shape %v, %d values, %d labels; want %d examples", c, k, b.shape, len(b.x), len(b.y), n)
			}
			for at, label := range b.y {
				if seen[label] {
					t.Errorf("%+v: example %d occurs twice", c, label)
				}
				seen[label] = true
				for _, v := range b.x[4*at:][:4] {
					if v != float32(label) {
						t.Errorf("%+v: label %d has the values of example %v", c, label, v)
					}
				}
			}
		}
	}
}

func TestOrder(t *testing.T) {
	l := data.Loader{Set: labeled(t, numbered{n: 100}), Batch: 7}
	inOrder := labels(collect(t, l, 4, 0))
	if !slices.IsSorted(inOrder) {
		t.Errorf("without Shuffle the order is %v", inOrder)
	}
	l.Shuffle = true
	seen := make(map[string]string)
	for seed := range uint64(3) {
		for epoch := range 3 {
			l.Seed = seed
			order := fmt.Sprint(labels(collect(t, l, epoch, 0)))
			name := fmt.Sprintf("seed %d, epoch %d", seed, epoch)
			if other, ok := seen[order]; ok || order == fmt.Sprint(inOrder) {
				t.Errorf("%s has the order of %q", name, other)
			}
			seen[order] = name
		}
	}
}

// TestResume holds that an epoch from any batch on has the bits of the whole epoch, with any number
// of workers.
func TestResume(t *testing.T) {
	set, err := data.Shapes(50, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := data.Loader{Set: set, Batch: 8, Shuffle: true, Seed: 9, Workers: 1, Transforms: []data.Transform{
		data.RandomCrop{Padding: 4, Height: 20, Width: 28},
		data.RandomHorizontalFlip{},
		data.CenterCrop{Height: 18, Width: 18},
		data.Normalize{Mean: []float32{.3, .3, .3}, Std: []float32{.2, .2, .2}},
	}}
	whole := collect(t, l, 2, 0)
	if sameBatches(whole, collect(t, l, 3, 0)) {
		t.Error("two epochs are the same")
	}
	for first := 0; first <= l.Batches(); first++ {
		l.Workers = first % 5
		if got := collect(t, l, 2, first); !sameBatches(got, whole[first:]) {
			t.Errorf("from batch %d with %d workers: other batches than in the whole epoch", first, l.Workers)
		}
	}
}

// TestAugmentationFollowsTheExample holds that the random numbers of the transforms depend on the
// index of the example, and not on its position in the epoch.
func TestAugmentationFollowsTheExample(t *testing.T) {
	l := data.Loader{Set: labeled(t, numbered{n: 40}), Batch: 8, Seed: 1, Transforms: []data.Transform{data.RandomCrop{Padding: 2}}}
	pictures := func() map[int32]string {
		byLabel := make(map[int32]string)
		for _, b := range collect(t, l, 0, 0) {
			for at, label := range b.y {
				byLabel[label] = fmt.Sprint(b.x[4*at:][:4])
			}
		}
		return byLabel
	}
	before := pictures()
	l.Shuffle, l.Batch = true, 5
	for label, picture := range pictures() {
		if before[label] != picture {
			t.Errorf("example %d: %s became %s under another order", label, before[label], picture)
		}
	}
}

// TestAugmentationVaries holds that the random numbers of the transforms differ between the
// examples of a batch, between epochs and between seeds.
func TestAugmentationVaries(t *testing.T) {
	l := data.Loader{Set: labeled(t, numbered{n: 20}), Batch: 20, Transforms: []data.Transform{data.RandomCrop{Padding: 2}}}
	// windows returns which pixels of each crop are pixels of the image. It leaves out example 0,
	// which is black.
	windows := func(l data.Loader, epoch int) (all []string) {
		x := collect(t, l, epoch, 0)[0].x
		for k := 4; k < len(x); k += 4 {
			all = append(all, fmt.Sprint(x[k] > 0, x[k+1] > 0, x[k+2] > 0, x[k+3] > 0))
		}
		return all
	}
	first := windows(l, 0)
	if distinct := slices.Compact(slices.Sorted(slices.Values(first))); len(distinct) < 3 {
		t.Errorf("19 examples have %d different crops", len(distinct))
	}
	if slices.Equal(first, windows(l, 1)) {
		t.Error("two epochs have the same crops")
	}
	l.Seed = 1
	if slices.Equal(first, windows(l, 0)) {
		t.Error("two seeds have the same crops")
	}
}

// TestBatchStaysValid holds that a batch does not change while the workers prepare the next ones.
func TestBatchStaysValid(t *testing.T) {
	var reads atomic.Int64
	set := labeled(t, numbered{n: 64, read: func(int) error { reads.Add(1); return nil }})
	for _, workers := range []int{1, 2, 3} {
		reads.Store(0)
		l := data.Loader{Set: set, Batch: 4, Workers: workers}
		k := 0
		for b, err := range l.Epoch(t.Context(), 0, 0) {
			if err != nil {
				t.Fatal(err)
			}
			ahead := min(64, int64(4*(k+1+workers))) // each worker can have its next batch ready
			for start := time.Now(); reads.Load() < ahead && time.Since(start) < 5*time.Second; {
				runtime.Gosched()
			}
			if reads.Load() < ahead {
				t.Fatalf("%d workers, batch %d: %d examples read ahead, want %d", workers, k, reads.Load(), ahead)
			}
			for at, label := range b.Targets[0].I32() {
				if want := int32(4*k + at); label != want || b.Inputs[0].F32()[4*at] != float32(want) {
					t.Fatalf("%d workers, batch %d: example %d became %d", workers, k, want, label)
				}
			}
			k++
		}
		if reads.Load() != 64 {
			t.Errorf("%d workers: %d reads of 64 examples", workers, reads.Load())
		}
	}
}

func TestLeavingEarlyStopsTheWork(t *testing.T) {
	before := runtime.NumGoroutine()
	var reads atomic.Int64
	l := data.Loader{Set: labeled(t, numbered{n: 1 << 20, read: func(int) error { reads.Add(1); return nil }}), Batch: 4, Workers: 3}
	for range 50 {
		for _, err := range l.Epoch(t.Context(), 0, 0) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		now := reads.Load()
		for range 10 {
			runtime.Gosched()
		}
		if later := reads.Load(); later != now {
			t.Fatalf("%d examples were read after the loop", later-now)
		}
	}
	if most := int64(50 * 4 * (2*3 + 1)); reads.Load() > most {
		t.Errorf("%d examples read, want at most %d: the number of batches ahead has no bound", reads.Load(), most)
	}
	for start := time.Now(); runtime.NumGoroutine() > before && time.Since(start) < 5*time.Second; {
		runtime.Gosched()
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines before, %d after", before, now)
	}
}

func TestCancel(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	l := data.Loader{Set: labeled(t, numbered{n: 1000}), Batch: 4}
	batches, last := 0, error(nil)
	for b, err := range l.Epoch(ctx, 0, 0) {
		if last != nil {
			t.Fatal("the loop continued after an error")
		}
		if last = err; err == nil {
			batches++
		} else if b != nil {
			t.Error("got a batch with an error")
		}
		if batches == 3 {
			cancel(why)
		}
	}
	if batches != 3 || !errors.Is(last, why) {
		t.Errorf("%d batches, then %v; want 3, then the cause of the cancellation", batches, last)
	}
}

func TestReadErrorEndsTheEpoch(t *testing.T) {
	broken := errors.New("broken")
	l := data.Loader{Batch: 4, Workers: 2, Set: labeled(t, numbered{n: 40, read: func(i int) error {
		if i == 18 {
			return broken
		}
		return nil
	}})}
	batches, last := 0, error(nil)
	for _, err := range l.Epoch(t.Context(), 6, 0) {
		if last = err; err == nil {
			batches++
		}
	}
	if batches != 4 || !errors.Is(last, broken) {
		t.Fatalf("%d batches, then %v; want 4, then the error", batches, last)
	}
	for _, part := range []string{"epoch 6", "batch 4", "example 18"} {
		if !strings.Contains(last.Error(), part) {
			t.Errorf("error %q does not contain %q", last, part)
		}
	}
}

// misnamed is a collection with names for two of its labels.
type misnamed struct{ numbered }

func (misnamed) Classes() []string { return []string{"zero", "one"} }

// TestLoaderRefuses holds that a wrong field of a Loader is one error of Epoch.
func TestLoaderRefuses(t *testing.T) {
	fit := data.Loader{Set: labeled(t, numbered{n: 10}), Batch: 4}
	for name, change := range map[string]func(*data.Loader) (epoch, first int){
		"no set":           func(l *data.Loader) (int, int) { l.Set = nil; return 0, 0 },
		"empty set":        func(l *data.Loader) (int, int) { l.Set = labeled(t, numbered{}); return 0, 0 },
		"no batch":         func(l *data.Loader) (int, int) { l.Batch = 0; return 0, 0 },
		"negative batch":   func(l *data.Loader) (int, int) { l.Batch = -4; return 0, 0 },
		"negative workers": func(l *data.Loader) (int, int) { l.Workers = -1; return 0, 0 },
		"nothing left":     func(l *data.Loader) (int, int) { l.Batch, l.DropLast = 11, true; return 0, 0 },
		"nil transform":    func(l *data.Loader) (int, int) { l.Transforms = []data.Transform{nil}; return 0, 0 },
		"window of a crop": func(l *data.Loader) (int, int) {
			l.Transforms = []data.Transform{data.CenterCrop{Height: 9, Width: 9}}
			return 0, 0
		},
		"label without a name": func(l *data.Loader) (int, int) { l.Set = labeled(t, misnamed{numbered{n: 10}}); return 0, 0 },
		"negative epoch":       func(l *data.Loader) (int, int) { return -1, 0 },
		"negative first":       func(l *data.Loader) (int, int) { return 0, -1 },
		"first past the end":   func(l *data.Loader) (int, int) { return 0, 4 },
	} {
		l := fit
		epoch, first := change(&l)
		yields, failed := 0, false
		for _, err := range l.Epoch(t.Context(), epoch, first) {
			yields, failed = yields+1, err != nil
		}
		if yields != 1 || !failed {
			t.Errorf("%s: %d yields, failed %v; want one error", name, yields, failed)
		}
	}
	if inputs, err := fit.Inputs(); err != nil || len(inputs) != 1 || fmt.Sprint(inputs[0].Shape) != "[1 2 2]" {
		t.Errorf("Inputs of a good Loader: %v, %v", inputs, err)
	}
	if n := (data.Loader{}).Batches(); n != 0 {
		t.Errorf("Batches of the zero Loader is %d, want 0", n)
	}
	if _, err := (data.Loader{}).Inputs(); err == nil {
		t.Error("Inputs of the zero Loader: no error")
	}
}
