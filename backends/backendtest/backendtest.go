// Package backendtest is the conformance test of backends.
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, mybackend.New(), backendtest.Options{})
//	}
//
// It runs every op of [graph.Ops] over many shapes, forward and through [graph.Builder.Grad]
// backward, and compares the results with those of package backends/reference within the bound of
// the op's row in the tables. It trains small networks for a few steps. It checks each sentence of
// the interfaces: the state after errors, the owner of memory, concurrent calls, memory limits, and
// calls after Close. If package graph has an op that no case reaches, the test fails.
//
// An op that the backend reports as unsupported fails the test, unless [Options.Gaps] lists it;
// then the case is skipped with a message. A gap that the backend no longer has fails the test.
package backendtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Options describe a backend. The zero value is right for one that has every op in F32.
type Options struct {
	// Gaps are the ops that the backend lacks, in the words of [backends.UnsupportedError]: "erf
	// f32", "conv2d f64".
	Gaps []string
	// Double is true for a backend that has the ops in F64, too.
	Double bool
}

// Run tests b and closes it. With -short it takes every third shape.
func Run(t *testing.T, b backends.Backend, o Options) {
	t.Helper()
	if i := b.Info(); i.Name == "" {
		t.Errorf("Info: backend has no name: %+v", i)
	}
	s := &suite{backend: b, options: o, reference: reference.New()}
	t.Run("Ops", s.testOps)
	t.Run("Networks", s.testNetworks)
	t.Run("Constants", s.testConstants)
	t.Run("Session", s.testSession)
	t.Run("Errors", s.testErrors)
	t.Run("Memory", s.testMemory)
	t.Run("Concurrency", s.testConcurrency)
	t.Run("Close", s.testClose)
}

type suite struct {
	backend, reference backends.Backend
	options            Options
}

// open returns a new session of b, which is closed when the test ends.
func open(t *testing.T, b backends.Backend) backends.Session {
	t.Helper()
	s, err := b.NewSession(t.Context())
	if err != nil {
		t.Fatalf("new session of %s: %v", b.Info().Name, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close session of %s: %v", b.Info().Name, err)
		}
	})
	return s
}

// compile compiles p. An error fails the test; a known gap skips it with a message.
func (s *suite) compile(t *testing.T, in backends.Session, p *graph.Program, o backends.Options) backends.Executable {
	t.Helper()
	exe, err := in.Compile(t.Context(), p, o)
	var lacks *backends.UnsupportedError
	switch {
	case errors.As(err, &lacks):
		for _, m := range lacks.Missing {
			if !slices.Contains(s.options.Gaps, m) {
				t.Errorf("backend lacks %s, which Options.Gaps does not name", m)
			}
		}
		if len(lacks.Missing) == 0 {
			t.Errorf("unsupported, but nothing is listed: %v", err)
		}
		t.Skipf("known gap: %v", err)
	case err != nil:
		t.Fatalf("compile: %v\n%v", err, p)
	}
	t.Cleanup(func() {
		if err := exe.Close(); err != nil {
			t.Errorf("close executable: %v", err)
		}
	})
	for _, i := range p.Code {
		for _, id := range slices.Concat(i.In, i.Out) {
			if what := fmt.Sprintf("%s %v", i.Op, p.Types[id].DType); slices.Contains(s.options.Gaps, what) {
				t.Errorf("Options.Gaps names %s, but the backend compiles it; remove the gap", what)
			}
		}
	}
	return exe
}

// run runs exe. It fails the test on an error, or when exe changes an input.
func run(t *testing.T, exe backends.Executable, in ...array.Tensor) []array.Tensor {
	t.Helper()
	before := cloneAll(in)
	out, err := exe.Run(t.Context(), in, nil)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	for i := range in {
		if !sameBits(in[i], before[i]) {
			t.Fatalf("run changed its input %d", i)
		}
	}
	return out
}

func cloneAll(ts []array.Tensor) []array.Tensor {
	out := make([]array.Tensor, len(ts))
	for i, t := range ts {
		out[i] = t.Clone()
	}
	return out
}

func mustProgram(t *testing.T, b *graph.Builder) *graph.Program {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		t.Fatalf("the suite's own program is wrong: %v", err)
	}
	return p
}
