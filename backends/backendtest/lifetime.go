package backendtest

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
)

// testConcurrency checks that programs without updates can run in many goroutines, that sessions do
// not affect each other, and that the results have the bits of a single run.
func (s *suite) testConcurrency(t *testing.T) {
	const workers = 8
	n := convNet(t, false)
	shared := s.start(t, s.backend, n)
	feeds, alone := make([][]array.Tensor, workers), make([][]array.Tensor, workers)
	for w := range workers {
		feeds[w] = n.feed(t, w, 1+w%3)
		alone[w] = run(t, shared.exe, feeds[w]...)
	}
	training := convNet(t, true)
	trained := func(tr trainer) array.Tensor {
		for step := range 3 {
			if _, err := tr.exe.Run(t.Context(), training.feed(t, step, 2), nil); err != nil {
				t.Error(err)
			}
		}
		v, err := tr.session.Get(t.Context(), "conv1")
		if err != nil {
			t.Error(err)
		}
		return v
	}
	serial := trained(s.start(t, s.backend, training))
	var own [workers]trainer
	for w := range own {
		own[w] = s.start(t, s.backend, training)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range 5 {
				got, err := shared.exe.Run(t.Context(), feeds[w], nil)
				if err != nil {
					t.Error(err)
					return
				}
				if !sameBits(got[0], alone[w][0]) && s.backend.Info().Deterministic {
					t.Errorf("worker %d: a run among others differs from a run alone", w)
				}
			}
		})
		wg.Go(func() {
			if got := trained(own[w]); !sameBits(got, serial) && s.backend.Info().Deterministic {
				t.Errorf("worker %d: training in a session among others differs from training alone", w)
			}
		})
	}
	wg.Wait()
}

// testClose checks that all calls after Close return ErrClosed, that a second Close is no error,
// and that no goroutine remains.
func (s *suite) testClose(t *testing.T) {
	n := convNet(t, false)
	feed := n.feed(t, 0, 2)
	cycle := func() {
		in, err := s.backend.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		exe, err := in.Compile(t.Context(), n.program, backends.Options{})
		if err != nil {
			t.Fatal(err)
		}
		run(t, exe, feed...)
		isClosed := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, backends.ErrClosed) {
				t.Errorf("%s: want ErrClosed, got %v", what, err)
			}
		}
		second, err := in.Compile(t.Context(), n.program, backends.Options{})
		if err != nil {
			t.Fatal(err)
		}
		closeTwice(t, "executable", exe.Close)
		_, err = exe.Run(t.Context(), feed, nil)
		isClosed("run of a closed executable", err)
		run(t, second, feed...)
		closeTwice(t, "session", in.Close)
		_, err = second.Run(t.Context(), feed, nil)
		isClosed("run in a closed session", err)
		isClosed("set in a closed session", in.Set(t.Context(), "w", array.DenseValue(f32(t, 1))))
		_, err = in.Get(t.Context(), "w")
		isClosed("get in a closed session", err)
		_, err = in.Compile(t.Context(), n.program, backends.Options{})
		isClosed("compile in a closed session", err)
		closeTwice(t, "executable of a closed session", second.Close)
	}
	cycle() // goroutines that a backend starts once begin here
	before := runtime.NumGoroutine()
	for range 10 {
		cycle()
	}
	settle(t, before)

	// Close during runs: each run returns its result or ErrClosed, and the backend is then closed
	// for good.
	in, err := s.backend.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := in.Compile(t.Context(), n.program, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	started := make(chan struct{}, 4)
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := exe.Run(t.Context(), feed, nil)
				if i == 0 {
					started <- struct{}{}
				}
				if err != nil {
					if !errors.Is(err, backends.ErrClosed) {
						t.Errorf("run while the backend closes: %v", err)
					}
					return
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	closeTwice(t, "backend", s.backend.Close)
	wg.Wait()
	if _, err := s.backend.NewSession(t.Context()); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("new session of a closed backend: want ErrClosed, got %v", err)
	}
	if err := in.Set(t.Context(), "w", array.DenseValue(f32(t, 1))); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("set in a session of a closed backend: want ErrClosed, got %v", err)
	}
	settle(t, before)
}

func closeTwice(t testing.TB, what string, shut func() error) {
	t.Helper()
	for range 2 {
		if err := shut(); err != nil {
			t.Errorf("close %s: %v", what, err)
		}
	}
}

// settle waits until at most limit goroutines are left.
func settle(t testing.TB, limit int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > limit {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), limit, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(time.Millisecond)
	}
}
