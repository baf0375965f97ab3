package backendtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// fails fails the test unless err is an error.
func fails(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: want an error, got none", what)
	}
}

// testErrors checks that mistakes are errors and that errors change nothing.
func (s *suite) testErrors(t *testing.T) {
	t.Run("set and get", s.testSlotErrors)
	t.Run("compile", s.testCompileErrors)
	t.Run("unsupported", s.testUnsupported)
	t.Run("run", s.testRunErrors)
	t.Run("indices out of range", s.testIndexErrors)
	t.Run("cancelled", s.testCancelled)
}

func (s *suite) testSlotErrors(t *testing.T) {
	in := open(t, s.backend)
	ctx := t.Context()
	_, err := in.Get(ctx, "nowhere")
	fails(t, "get of a slot that is not there", err)
	set(t, in, "w", f32(t, 1, 2))
	for what, v := range map[string]array.Value{
		"another shape":     array.DenseValue(f32(t, 1, 2, 3)),
		"another type":      {DType: array.I32, Dims: []int{2}, Values: make([]byte, 8)},
		"too few bytes":     {DType: array.F32, Dims: []int{2}, Values: make([]byte, 7)},
		"too many bytes":    {DType: array.F32, Dims: []int{2}, Values: make([]byte, 9)},
		"no type":           {Dims: []int{2}, Values: make([]byte, 8)},
		"a dimension of 0":  {DType: array.F32, Dims: []int{0}},
		"huge dimensions":   {DType: array.F32, Dims: []int{1 << 62, 1 << 62}},
		"a bad encoding":    {Encoding: 200, DType: array.F32, Dims: []int{2}, Values: make([]byte, 8)},
		"the zero value":    {},
		"a dimension of -2": {DType: array.F32, Dims: []int{-2}, Values: make([]byte, 8)},
	} {
		fails(t, "set to "+what, in.Set(ctx, "w", v))
		want(t, "slot after a failed set", get(t, in, "w"), 1, 2)
	}
}

func (s *suite) testCompileErrors(t *testing.T) {
	in := open(t, s.backend)
	set(t, in, "w", f32(t, 1, 2))
	program := func(n int) *graph.Program {
		b := graph.NewBuilder()
		w := b.Slot(vector("w", n))
		b.Slot(vector("fresh", n))
		b.Update("fresh", w)
		b.Update("w", b.Scale(w, 2))
		return mustProgram(t, b)
	}
	_, err := in.Compile(t.Context(), program(3), backends.Options{})
	fails(t, "compile with a slot of another shape than the session's", err)
	if _, err := in.Get(t.Context(), "fresh"); err == nil {
		t.Error("a failed compile left a slot behind")
	}
	_, err = in.Compile(t.Context(), nil, backends.Options{})
	fails(t, "compile of no program", err)
	wrong := program(2)
	wrong.Updates[0].ID = 1000
	_, err = in.Compile(t.Context(), wrong, backends.Options{})
	fails(t, "compile of a program that does not verify", err)
	for what, v := range map[string]array.Tensor{"a constant that is updated": f32(t, 1, 2), "a constant of another shape": f32(t, 1, 2, 3)} {
		_, err = in.Compile(t.Context(), program(2), backends.Options{Const: map[string]array.Value{"w": array.DenseValue(v)}})
		fails(t, "compile with "+what, err)
	}
	want(t, "slot after failed compiles", get(t, in, "w"), 1, 2)
}

// testUnsupported checks that a program compiles, or that the error lists everything that is
// missing.
func (s *suite) testUnsupported(t *testing.T) {
	b := graph.NewBuilder()
	b.Output("a", b.Exp(b.Input("a", array.F16, graph.Of(3))))
	b.Output("b", b.Tanh(b.Input("b", array.BF16, graph.Of(3))))
	exe, err := open(t, s.backend).Compile(t.Context(), mustProgram(t, b), backends.Options{})
	if err == nil {
		_ = exe.Close()
		return
	}
	var lacks *backends.UnsupportedError
	if !errors.As(err, &lacks) || lacks.Backend == "" || len(lacks.Missing) < 2 {
		t.Errorf("want an UnsupportedError that names the backend and all that is missing, got %v", err)
	}
}

func (s *suite) testRunErrors(t *testing.T) {
	in := open(t, s.backend)
	b := graph.NewBuilder()
	x, y := b.Input("x", array.F32, graph.Batch(2)), b.Input("y", array.F32, graph.Batch(2))
	w := b.Slot(vector("w", 2))
	b.Update("w", b.Add(w, b.Sum(x, false, 0)))
	b.Output("z", b.Add(x, y))
	exe := s.compile(t, in, mustProgram(t, b), backends.Options{})
	matrix := func(n, c int) array.Tensor { return float(n, c).tensor(t, 1, array.F32) }
	short := matrix(3, 2)
	short.Data = short.Data[:8]
	good := []array.Tensor{matrix(3, 2), matrix(3, 2)}
	for what, c := range map[string]struct{ in, out []array.Tensor }{
		"no inputs":               {nil, nil},
		"one input of two":        {good[:1], nil},
		"three inputs":            {append(good[:2:2], good[0]), nil},
		"wrong columns":           {[]array.Tensor{matrix(3, 3), matrix(3, 3)}, nil},
		"batches that disagree":   {[]array.Tensor{matrix(3, 2), matrix(2, 2)}, nil},
		"wrong rank":              {[]array.Tensor{f32(t, 1, 2), f32(t, 1, 2)}, nil},
		"wrong type":              {[]array.Tensor{good[0], float(3, 2).tensor(t, 1, array.F64)}, nil},
		"a tensor that is none":   {[]array.Tensor{good[0], {}}, nil},
		"too few bytes":           {[]array.Tensor{good[0], short}, nil},
		"too few outputs":         {good, []array.Tensor{}},
		"too many outputs":        {good, []array.Tensor{matrix(3, 2), matrix(3, 2)}},
		"an output of wrong size": {good, []array.Tensor{matrix(2, 2)}},
		"an output of wrong type": {good, []array.Tensor{float(3, 2).tensor(t, 1, array.F64)}},
		"an output that is none":  {good, []array.Tensor{{}}},
	} {
		_, err := exe.Run(t.Context(), c.in, c.out)
		fails(t, what, err)
		want(t, "slot after "+what, get(t, in, "w"), 0, 0)
	}
	run(t, exe, good...)
}

// testIndexErrors checks that labels and indices out of range are errors, and that such a run
// updates nothing.
func (s *suite) testIndexErrors(t *testing.T) {
	for what, use := range map[string]func(b *graph.Builder, x, index graph.Node) graph.Node{
		"cross_entropy": func(b *graph.Builder, x, index graph.Node) graph.Node { return b.CrossEntropy(x, index) },
		"cross_entropy_grad": func(b *graph.Builder, x, index graph.Node) graph.Node {
			return b.Grad(b.Sum(b.CrossEntropy(x, index), false), x)[0]
		},
		"gather":      func(b *graph.Builder, x, index graph.Node) graph.Node { return b.Gather(x, index) },
		"scatter_add": func(b *graph.Builder, x, index graph.Node) graph.Node { return b.ScatterAdd(x, index, 4) },
	} {
		t.Run(what, func(t *testing.T) {
			in := open(t, s.backend)
			b := graph.NewBuilder()
			x, index := b.Input("x", array.F32, graph.Of(4, 4)), b.Input("index", array.I32, graph.Of(4))
			w := b.Slot(vector("w", 1))
			b.Update("w", b.Shift(w, 1))
			b.Update("late", func() graph.Node {
				b.Slot(vector("late", 1))
				return b.Reshape(b.Sum(use(b, x, index), false), graph.Of(1))
			}())
			exe := s.compile(t, in, mustProgram(t, b), backends.Options{})
			for _, wrong := range []int32{-1, 4, 1 << 30, -1 << 31} {
				idx, err := array.From([]int32{0, 3, wrong, 1})
				if err != nil {
					t.Fatal(err)
				}
				_, err = exe.Run(t.Context(), []array.Tensor{float(4, 4).tensor(t, 1, array.F32), idx}, nil)
				fails(t, "index out of range", err)
				want(t, "slot after the error", get(t, in, "w"), 0)
				want(t, "second slot after the error", get(t, in, "late"), 0)
			}
			run(t, exe, float(4, 4).tensor(t, 1, array.F32), ints(4, 4).tensor(t, 1, array.F32))
			want(t, "slot after a good run", get(t, in, "w"), 1)
		})
	}
}

// testCancelled checks that every call ends under a cancelled context, and that a run that is
// cancelled changes all slots or none.
func (s *suite) testCancelled(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.backend.NewSession(done); !errors.Is(err, context.Canceled) {
		t.Errorf("new session under a cancelled context: %v", err)
	}
	n := convNet(t, true)
	tr := s.start(t, s.backend, n)
	if err := tr.session.Set(done, "conv1", array.DenseValue(get(t, tr.session, "conv1"))); !errors.Is(err, context.Canceled) {
		t.Errorf("set under a cancelled context: %v", err)
	}
	if _, err := tr.session.Get(done, "conv1"); !errors.Is(err, context.Canceled) {
		t.Errorf("get under a cancelled context: %v", err)
	}
	if _, err := tr.session.Compile(done, n.program, backends.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("compile under a cancelled context: %v", err)
	}
	feed := n.feed(t, 0, 3)
	before := tr.snapshot(t, n)
	if _, err := tr.exe.Run(done, feed, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("run under a cancelled context: %v", err)
	}
	tr.unchanged(t, n, before, "a cancelled run")
	for delay := time.Duration(0); delay < 2*time.Millisecond; delay += 200 * time.Microsecond {
		ctx, cancel := context.WithTimeout(t.Context(), delay)
		_, err := tr.exe.Run(ctx, feed, nil)
		cancel()
		switch {
		case err == nil:
			before = tr.snapshot(t, n)
		case errors.Is(err, context.DeadlineExceeded):
			tr.unchanged(t, n, before, "a run that was cancelled in flight")
		default:
			t.Errorf("run cancelled in flight: %v", err)
		}
	}
}

func (r trainer) snapshot(t testing.TB, n network) []array.Tensor {
	t.Helper()
	values := make([]array.Tensor, len(n.program.Slots))
	for i, slot := range n.program.Slots {
		values[i] = r.get(t, slot.Name)
	}
	return values
}

func (r trainer) unchanged(t testing.TB, n network, before []array.Tensor, after string) {
	t.Helper()
	for i, slot := range n.program.Slots {
		if !sameBits(r.get(t, slot.Name), before[i]) {
			t.Errorf("%s changed slot %s", after, slot.Name)
		}
	}
}
