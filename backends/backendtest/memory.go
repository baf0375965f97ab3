package backendtest

import (
	"context"
	"errors"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

const (
	memoryLimit = 8 << 20
	tooMany     = 1 << 28 // float32 elements, 1 GiB
)

// testMemory checks that no call exceeds Options.MemoryLimit, and that a call which returns a
// MemoryError changes nothing.
func (s *suite) testMemory(t *testing.T) {
	t.Run("constants", s.testMemoryOfConstants)
	t.Run("slots", s.testMemoryOfSlots)
	t.Run("runs", s.testMemoryOfRuns)
	t.Run("fixed sizes", s.testMemoryOfFixedSizes)
	t.Run("overflow", s.testMemoryOverflow)
	t.Run("enough", s.testMemoryEnough)
}

// exceeds fails the test unless err is a MemoryError for the limit.
func exceeds(t *testing.T, what string, err error) {
	t.Helper()
	var memory *backends.MemoryError
	switch {
	case !errors.As(err, &memory):
		t.Errorf("%s: want a MemoryError, got %v", what, err)
	case memory.Backend == "" || memory.What == "" || memory.Limit != memoryLimit || memory.Want <= memory.Limit:
		t.Errorf("%s: want a MemoryError with a backend, what is too large, limit %d and more bytes than that; got %+v", what, memoryLimit, *memory)
	}
}

// testMemoryOfConstants has a constant of 16 KiB that decodes to 1 GiB of zeros.
func (s *suite) testMemoryOfConstants(t *testing.T) {
	b := graph.NewBuilder()
	b.Output("y", b.Sum(b.Slot(vector("w", tooMany)), false))
	zeros := array.Value{Encoding: array.Index16, DType: array.F32, Dims: []int{tooMany}, Index: make([]byte, 4*tooMany>>16)}
	_, err := open(t, s.backend).Compile(t.Context(), mustProgram(t, b), backends.Options{
		Const: map[string]array.Value{"w": zeros}, MemoryLimit: memoryLimit,
	})
	exceeds(t, "compile with a constant of 1 GiB", err)
}

func (s *suite) testMemoryOfSlots(t *testing.T) {
	in := open(t, s.backend)
	b := graph.NewBuilder()
	b.Slot(vector("small", 2))
	b.Output("y", b.Sum(b.Slot(vector("large", tooMany)), false))
	_, err := in.Compile(t.Context(), mustProgram(t, b), backends.Options{MemoryLimit: memoryLimit})
	exceeds(t, "compile with a slot of 1 GiB that the session does not have", err)
	for _, slot := range []string{"small", "large"} {
		if _, err := in.Get(t.Context(), slot); err == nil {
			t.Errorf("the failed compile made slot %q", slot)
		}
	}
}

// testMemoryOfRuns has an output that fits for a small batch and not for a large one.
func (s *suite) testMemoryOfRuns(t *testing.T) {
	const columns = 1 << 16
	in := open(t, s.backend)
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(1))
	w := b.Slot(vector("w", 1))
	b.Update("w", b.Add(w, b.Sum(x, false, 0)))
	b.Output("y", b.Broadcast(x, graph.Shape{graph.Sym("N"), {C: columns}}))
	exe := s.compile(t, in, mustProgram(t, b), backends.Options{MemoryLimit: memoryLimit})
	for _, n := range []int{2, tooMany / columns, 1} {
		batch := make([]float32, n)
		for i := range batch {
			batch[i] = 1
		}
		before := get(t, in, "w").F32()[0]
		feed := f32(t, batch...)
		feed.Dims = []int{n, 1}
		out, err := exe.Run(t.Context(), []array.Tensor{feed}, nil)
		if n*columns == tooMany {
			exceeds(t, "run with an output of 1 GiB", err)
			want(t, "slot after the failed run", get(t, in, "w"), before)
			continue
		}
		if err != nil {
			t.Fatalf("run with an output of %d KiB: %v", n*columns*4>>10, err)
		}
		if y := out[0].F32(); y[0] != 1 || y[len(y)-1] != 1 {
			t.Errorf("run with an output of %d KiB: wrong result", n*columns*4>>10)
		}
		want(t, "slot after the run", get(t, in, "w"), before+float32(n))
	}
}

// testMemoryOfFixedSizes has a program without symbols, which Compile or Run may refuse.
func (s *suite) testMemoryOfFixedSizes(t *testing.T) {
	b := graph.NewBuilder()
	b.Output("y", b.Broadcast(b.Input("x", array.F32, graph.Of(1)), graph.Of(tooMany)))
	exe, err := open(t, s.backend).Compile(t.Context(), mustProgram(t, b), backends.Options{MemoryLimit: memoryLimit})
	if err == nil {
		t.Cleanup(func() { _ = exe.Close() })
		_, err = exe.Run(t.Context(), []array.Tensor{f32(t, 1)}, nil)
	}
	exceeds(t, "compile and run with an output of 1 GiB", err)
}

// testMemoryOverflow checks that sizes whose product does not fit an int64 are an error, with and
// without a limit.
func (s *suite) testMemoryOverflow(t *testing.T) {
	in, b, n := open(t, s.backend), graph.NewBuilder(), graph.Sym("N")
	x := b.Input("x", array.F32, graph.Shape{n})
	b.Output("y", b.Broadcast(x, graph.Shape{n, n, n, n}))
	b.Output("z", b.Reshape(b.Broadcast(x, graph.Shape{n, n, n, n}), graph.Shape{n.Mul(n).Mul(n).Mul(n)}))
	for _, limit := range []int64{0, memoryLimit} {
		exe := s.compile(t, in, mustProgram(t, b), backends.Options{MemoryLimit: limit})
		for _, size := range []int{1 << 16, 1<<16 + 1, 1 << 17} {
			_, err := exe.Run(t.Context(), []array.Tensor{f32(t, make([]float32, size)...)}, nil)
			fails(t, "run with 2⁶⁴ elements or more", err)
		}
		run(t, exe, f32(t, 1, 2))
	}
	_, err := in.Compile(t.Context(), mustProgram(t, b), backends.Options{MemoryLimit: -1})
	fails(t, "compile with a negative memory limit", err)
}

// testMemoryEnough checks that a limit which is not reached changes no bit.
func (s *suite) testMemoryEnough(t *testing.T) {
	n := convNet(t, true)
	tr := s.start(t, s.backend, n)
	exe := s.compile(t, tr.session, n.program, backends.Options{MemoryLimit: 1 << 40})
	feed := n.feed(t, 0, 3)
	before := tr.snapshot(t, n)
	free := cloneAll(run(t, tr.exe, feed...))
	for i, slot := range n.program.Slots {
		if err := tr.session.Set(context.Background(), slot.Name, array.DenseValue(before[i])); err != nil {
			t.Fatal(err)
		}
	}
	for i, y := range run(t, exe, feed...) {
		if !sameBits(y, free[i]) {
			t.Errorf("output %d differs under a memory limit", i)
		}
	}
}
