package backendtest

import (
	"fmt"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func f32(t testing.TB, x ...float32) array.Tensor {
	t.Helper()
	v, err := array.From(x)
	if err != nil {
		t.Fatal(err)
	}
	return v.Clone()
}

func vector(name string, n int) graph.Slot {
	return graph.Slot{Name: name, Type: graph.Type{DType: array.F32, Shape: graph.Of(n)}}
}

func want(t testing.TB, what string, got array.Tensor, x ...float32) {
	t.Helper()
	if err := exact.check(got, f32(t, x...), array.Tensor{}); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// testSession checks slots and runs.
func (s *suite) testSession(t *testing.T) {
	t.Run("slots are the session's", s.testSlots)
	t.Run("slots of every type", s.testSlotTypes)
	t.Run("unset slots are zero", s.testZeroSlots)
	t.Run("updates happen together, at the end", s.testUpdates)
	t.Run("executables share slots", s.testSharedSlots)
	t.Run("sessions share nothing", s.testSessionsApart)
	t.Run("outputs", s.testOutputs)
}

func (s *suite) testSlots(t *testing.T) {
	in := open(t, s.backend)
	x := f32(t, 1, 2, 3)
	set(t, in, "w", x)
	x.F32()[0] = 99
	want(t, "slot after the caller changed the tensor it had set", get(t, in, "w"), 1, 2, 3)
	y := get(t, in, "w")
	y.F32()[1] = 99
	want(t, "slot after the caller changed the tensor it got", get(t, in, "w"), 1, 2, 3)
	set(t, in, "w", f32(t, 4, 5, 6))
	want(t, "slot set again", get(t, in, "w"), 4, 5, 6)

	b := graph.NewBuilder()
	w := b.Slot(vector("w", 3))
	b.Output("w", w)
	b.Update("w", b.Scale(w, 2))
	exe := s.compile(t, in, mustProgram(t, b), backends.Options{})
	out := run(t, exe)
	want(t, "output of the slot's old value", out[0], 4, 5, 6)
	out[0].F32()[0] = 99
	want(t, "slot after the caller changed the output", get(t, in, "w"), 8, 10, 12)
}

func (s *suite) testSlotTypes(t *testing.T) {
	in := open(t, s.backend)
	for i, o := range []operand{float(5, 3), float(), ints(9, 7), bits(11), {dtype: array.I64, dims: []int{2}, fill: integer}} {
		v := o.tensor(t, 5, array.F32)
		name := fmt.Sprintf("%v %d", v.DType, i)
		set(t, in, name, v)
		b := graph.NewBuilder()
		b.Output("y", b.Slot(graph.Slot{Name: name, Type: graph.Type{DType: v.DType, Shape: graph.Of(v.Dims...)}}))
		exe := s.compile(t, in, mustProgram(t, b), backends.Options{})
		if got := run(t, exe)[0]; !sameBits(got, v) || !sameBits(get(t, in, name), v) {
			t.Errorf("%s: a slot did not return what was set", name)
		}
	}
}

func (s *suite) testZeroSlots(t *testing.T) {
	in := open(t, s.backend)
	b := graph.NewBuilder()
	w := b.Slot(vector("w", 3))
	b.Update("w", b.Shift(w, 1))
	exe := s.compile(t, in, mustProgram(t, b), backends.Options{})
	want(t, "slot that was not set", get(t, in, "w"), 0, 0, 0)
	if out := run(t, exe); len(out) != 0 {
		t.Errorf("a program without outputs returned %d tensors", len(out))
	}
	run(t, exe)
	want(t, "slot after two runs", get(t, in, "w"), 2, 2, 2)
}

func (s *suite) testUpdates(t *testing.T) {
	in := open(t, s.backend)
	set(t, in, "a", f32(t, 1, 2))
	set(t, in, "b", f32(t, 3, 4))
	b := graph.NewBuilder()
	x, y := b.Slot(vector("a", 2)), b.Slot(vector("b", 2))
	b.Update("a", y) // an exchange: neither may see the other's new value
	b.Update("b", x)
	b.Update("c", func() graph.Node { b.Slot(vector("c", 2)); return y }())
	b.Output("a", x)
	b.Output("sum", b.Add(x, y))
	exe := s.compile(t, in, mustProgram(t, b), backends.Options{})
	out := run(t, exe)
	want(t, "output of a", out[0], 1, 2)
	want(t, "output of the sum", out[1], 4, 6)
	want(t, "a", get(t, in, "a"), 3, 4)
	want(t, "b", get(t, in, "b"), 1, 2)
	want(t, "c", get(t, in, "c"), 3, 4)
	run(t, exe)
	want(t, "a after the second exchange", get(t, in, "a"), 1, 2)
	want(t, "c after the second exchange", get(t, in, "c"), 1, 2)
}

func (s *suite) testSharedSlots(t *testing.T) {
	in := open(t, s.backend)
	program := func(c float64) *graph.Program {
		b := graph.NewBuilder()
		w := b.Slot(vector("w", 2))
		b.Update("w", b.Shift(b.Scale(w, c), 1))
		return mustProgram(t, b)
	}
	twice, thrice := s.compile(t, in, program(2), backends.Options{}), s.compile(t, in, program(3), backends.Options{})
	for _, exe := range []backends.Executable{twice, thrice, twice} {
		run(t, exe)
	}
	want(t, "slot after 2w+1, 3w+1, 2w+1", get(t, in, "w"), 9, 9)
}

func (s *suite) testSessionsApart(t *testing.T) {
	first, second := open(t, s.backend), open(t, s.backend)
	set(t, first, "w", f32(t, 1))
	set(t, second, "w", f32(t, 2))
	want(t, "slot of the first session", get(t, first, "w"), 1)
	want(t, "slot of the second session", get(t, second, "w"), 2)
}

func (s *suite) testOutputs(t *testing.T) {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch())
	b.Input("unused", array.F32, graph.Of(1))
	double := b.Scale(x, 2)
	b.Output("x", x)
	b.Output("double", double)
	b.Output("double again", double)
	b.Output("mask", b.Less(x, double))
	exe := s.compile(t, open(t, s.backend), mustProgram(t, b), backends.Options{})

	feed := []array.Tensor{f32(t, 1, -2, 3), f32(t, 0)}
	fresh := run(t, exe, feed...)
	want(t, "output that is an input", fresh[0], 1, -2, 3)
	want(t, "output", fresh[1], 2, -4, 6)
	fresh[1].F32()[0] = 99
	want(t, "input after its output was changed", feed[0], 1, -2, 3)
	want(t, "the same value under another name", fresh[2], 2, -4, 6)

	into := cloneAll(fresh)
	for i := range into {
		for k := range into[i].Data {
			into[i].Data[k] = 0xAA // whatever was there must go, also in the last byte of a mask
		}
	}
	got, err := exe.Run(t.Context(), feed, into)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if &got[i].Data[0] != &into[i].Data[0] {
			t.Errorf("output %d was returned in other memory than the caller's", i)
		}
	}
	want(t, "output in the caller's memory", into[1], 2, -4, 6)
	if !sameBits(into[3], fresh[3]) {
		t.Errorf("mask in the caller's memory is %08b, want %08b", into[3].Data, fresh[3].Data)
	}
	again := run(t, exe, f32(t, 7), f32(t, 0))
	want(t, "output for another batch", again[1], 14)
	want(t, "output of an earlier run after a later one", into[1], 2, -4, 6)
}
