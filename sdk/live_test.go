package sdk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk"
)

// TestLiveSwaps holds that every result of 32 goroutines has the bits of one of two models while
// the models replace each other and some loads fail, and that replaced models free their memory.
// CRAM_LONG=1 selects 10,000 swaps.
func TestLiveSwaps(t *testing.T) {
	leaksNothing(t)
	swaps := 150
	if os.Getenv("CRAM_LONG") == "1" {
		swaps = 10_000
	}
	const examples, size = 8, 3 * 24 * 24
	dir := t.TempDir()
	x := pixels(t, examples)
	files := []string{filepath.Join(dir, "a.cram"), filepath.Join(dir, "b.cram")}
	plans := make([]*backends.Plan, 2)
	want := make([][]float32, 2)
	for i, file := range files {
		tr := tinyTrainer()
		tr.Seed, tr.Epochs = uint64(i), 1
		if err := fit(t, tr, shapes(t, 40, 0), nil).Save(file); err != nil {
			t.Fatal(err)
		}
		p := load(t, file)
		plans[i], want[i] = p.Plan(), predict(t, p, images(x))
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Equal(want[0][:10], want[1][:10]) {
		t.Fatal("two models have the same logits: the test cannot fail")
	}
	damaged := filepath.Join(dir, "damaged.cram")
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-9] ^= 1
	if err := os.WriteFile(damaged, content, 0o666); err != nil {
		t.Fatal(err)
	}

	var live sdk.Live
	if err := live.Swap(load(t, files[0], sdk.PredictorOptions{Pin: plans[0]})); err != nil {
		t.Fatal(err)
	}
	heap, resident := heapInUse(), int64(0) // with one model, before the first call
	var callers sync.WaitGroup
	var stop atomic.Bool
	var results [2]atomic.Int64
	for g := range 32 {
		callers.Go(func() {
			for k := g; !stop.Load(); k++ {
				i := k % examples
				y, err := live.Predict(t.Context(), images(x[i*size:][:size]))
				if err != nil {
					t.Errorf("a call failed during a swap: %v", err)
					return
				}
				switch got := y.Float32s(); {
				case slices.Equal(got, want[0][i*10:][:10]):
					results[0].Add(1)
				case slices.Equal(got, want[1][i*10:][:10]):
					results[1].Add(1)
				default:
					t.Errorf("example %d: got %v, want the logits of one of the models", i, got)
					return
				}
			}
		})
	}
	defer callers.Wait()
	defer stop.Store(true)
	for k := 1; k <= swaps; k++ {
		if k%7 == 0 {
			if p, err := sdk.LoadSparse(t.Context(), damaged, sdk.PredictorOptions{}); err == nil {
				t.Fatal("the damaged file loads", p.Close())
			}
		}
		if err := live.Swap(load(t, files[k%2], sdk.PredictorOptions{Pin: plans[k%2]})); err != nil {
			t.Fatal(err)
		}
		if k == swaps/10 {
			resident = residentMemory(t) // with the memory of 32 calls at once
		}
	}
	goroutines := runtime.NumGoroutine()
	stop.Store(true)
	callers.Wait()
	after, residentAfter := heapInUse(), residentMemory(t)
	// A model takes more than 100 KiB, so a leak of ten exceeds 1 MiB.
	if after > heap+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes in %d swaps", heap, after, swaps)
	}
	// The margin of 8 MiB is for fragments of the heap and tables of the runtime, whose size does
	// not grow with the number of swaps. A leak of all models takes 30 MB in 150 swaps.
	if residentAfter > resident+8<<20 {
		t.Errorf("resident memory grew from %d to %d bytes in the last nine tenths of %d swaps", resident, residentAfter, swaps)
	}
	for i := range results {
		if results[i].Load() == 0 {
			t.Errorf("no result is of model %d", i)
		}
	}
	t.Logf("%d swaps, results %d and %d, heap %d and %d bytes, resident %d and %d, %d goroutines under load",
		swaps, results[0].Load(), results[1].Load(), heap, after, resident, residentAfter, goroutines)
	if err := live.Close(); err != nil {
		t.Error(err)
	}
}

// first returns the first of the options, or zero options if there are none.
func first(options []sdk.PredictorOptions) sdk.PredictorOptions {
	return append(options, sdk.PredictorOptions{})[0]
}

func load(t testing.TB, file string, options ...sdk.PredictorOptions) *sdk.Predictor {
	t.Helper()
	p, err := sdk.LoadSparse(t.Context(), file, first(options))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // memory of finalizers and pools
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// residentMemory returns the number of bytes of the resident memory of the process, after it has
// returned unused memory to the system; 0 if the system has no /proc.
func residentMemory(t *testing.T) int64 {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	debug.FreeOSMemory()
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(content), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestLiveWaits holds that Swap makes the new Predictor current at once, and closes the old one
// after its last call and not before.
func TestLiveWaits(t *testing.T) {
	leaksNothing(t)
	net := sparse(t)
	first, second := predictor(t, net, sdk.PredictorOptions{Level: "dense"}), predictor(t, net, sdk.PredictorOptions{Level: "topk:0.9"})
	x := pixels(t, 1)
	var live sdk.Live
	if err := live.Swap(first); err != nil {
		t.Fatal(err)
	}
	swapped := make(chan error, 1)
	err := live.Use(func(p *sdk.Predictor) error {
		go func() { swapped <- live.Swap(second) }()
		for level := "dense"; level == "dense"; { // until another call gets the new one
			if err := live.Use(func(p *sdk.Predictor) error { level = p.Level(); return nil }); err != nil {
				return err
			}
		}
		select {
		case err := <-swapped:
			t.Errorf("Swap returned, %v, while a call used the old Predictor", err)
		default:
		}
		_, err := p.Predict(t.Context(), images(x))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-swapped; err != nil {
		t.Error(err)
	}
	if _, err := first.Predict(t.Context(), images(x)); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("the old Predictor after Swap: %v, want ErrClosed", err)
	}
	if err := live.Close(); err != nil {
		t.Error(err)
	}
}

// TestLiveRefuses holds that a Swap that returns an error changes nothing.
func TestLiveRefuses(t *testing.T) {
	leaksNothing(t)
	net := sparse(t)
	p, other := predictor(t, net, sdk.PredictorOptions{Level: "dense"}), predictor(t, net, sdk.PredictorOptions{Level: "dense"})
	x := images(pixels(t, 1))
	var live sdk.Live
	_, err := live.Predict(t.Context(), x)
	wantError(t, err, "want a Predictor", "Swap")
	wantError(t, live.Use(nil), "want a function")
	if err := live.Swap(p); err != nil {
		t.Fatal(err)
	}
	wantError(t, live.Swap(nil), "want a Predictor, got none")
	wantError(t, live.Swap(new(sdk.Predictor)), "want a Predictor, got none")
	wantError(t, live.Swap(p), "want another Predictor")
	if _, err := live.Predict(t.Context(), x); err != nil {
		t.Errorf("after errors of Swap: %v", err)
	}
	for range 2 {
		if err := live.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := live.Predict(t.Context(), x); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if err := live.Swap(other); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("Swap after Close: %v, want ErrClosed", err)
	}
	predict(t, other, x) // Swap has not closed it
}
