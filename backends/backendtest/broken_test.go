package backendtest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/backendtest"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A fault is a defect of a backend, and the test of the suite that finds it.
type fault struct {
	seenBy  string
	gaps    []string // Options.Gaps of the suite
	fine    bool     // the suite passes
	run     func(e backends.Executable, ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error)
	session func(s backends.Session)
	compile func(p *graph.Program) error

	unlimited bool
}

var faults = map[string]fault{
	"a result off by 1/1000": {seenBy: "Ops/conv2d", run: func(e backends.Executable, ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
		out, err := e.Run(ctx, in, out)
		if err == nil {
			x := out[len(out)-1].F32()
			x[len(x)-1] *= 1.001
		}
		return out, err
	}},
	"a result that varies": {seenBy: "Ops/softmax", run: func() func(e backends.Executable, ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
		runs := 0
		return func(e backends.Executable, ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
			out, err := e.Run(ctx, in, out)
			if runs++; err == nil {
				out[0].F32()[0] *= 1 + float32(runs%2)/(1<<23)
			}
			return out, err
		}
	}()},
	"inputs written to": {seenBy: "Ops/neg", run: func(e backends.Executable, ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
		out, err := e.Run(ctx, in, out)
		in[0].Data[0]++
		return out, err
	}},
	"a pixel misread": {seenBy: "Networks", run: func(e backends.Executable, ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
		if len(in) > 1 && len(in[0].Dims) == 4 {
			in[0].F32()[7] += 0.01
			defer func() { in[0].F32()[7] -= 0.01 }()
		}
		return e.Run(ctx, in, out)
	}},
	"outputs elsewhere": {seenBy: "Session/outputs", run: func(e backends.Executable, ctx context.Context, in, _ []array.Tensor) ([]array.Tensor, error) {
		return e.Run(ctx, in, nil)
	}},
	"cancellation ignored": {seenBy: "Errors/cancelled", run: func(e backends.Executable, _ context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
		return e.Run(context.Background(), in, out)
	}},
	"errors swallowed": {seenBy: "Errors/indices", run: func(e backends.Executable, ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
		out, _ = e.Run(ctx, in, out)
		return out, nil
	}},
	"a missing op":           {seenBy: "Ops/erf", compile: lackErf},
	"a missing op in Gaps":   {seenBy: "Ops/erf", compile: lackErf, gaps: []string{"erf f32"}, fine: true},
	"a gap that is no gap":   {seenBy: "Ops/exp$", gaps: []string{"exp f32"}},
	"a memory limit ignored": {seenBy: "Memory/slots", unlimited: true},
	"goroutines left behind": {seenBy: "Close", session: func(backends.Session) { go func() { select {} }() }},
}

func lackErf(p *graph.Program) error {
	if p.Count(graph.OpErf) > 0 {
		return &backends.UnsupportedError{Backend: "broken", Missing: []string{"erf f32"}}
	}
	return nil
}

// broken is the reference backend with a fault.
type broken struct {
	backends.Backend
	fault fault
}

type brokenSession struct {
	backends.Session
	fault fault
}

type brokenExecutable struct {
	backends.Executable
	fault fault
}

func (b broken) NewSession(ctx context.Context) (backends.Session, error) {
	s, err := b.Backend.NewSession(ctx)
	if err == nil && b.fault.session != nil {
		b.fault.session(s)
	}
	return brokenSession{s, b.fault}, err
}

func (s brokenSession) Compile(ctx context.Context, p *graph.Program, o backends.Options) (backends.Executable, error) {
	if s.fault.compile != nil && p != nil {
		if err := s.fault.compile(p); err != nil {
			return nil, err
		}
	}
	if s.fault.unlimited {
		o.MemoryLimit = 0
	}
	e, err := s.Session.Compile(ctx, p, o)
	return brokenExecutable{e, s.fault}, err
}

func (e brokenExecutable) Run(ctx context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
	if e.fault.run == nil {
		return e.Executable.Run(ctx, in, out)
	}
	return e.fault.run(e.Executable, ctx, in, out)
}

const breakWith = "CRAM_BACKENDTEST_FAULT"

// TestBroken runs the suite on a broken backend. TestFaultsAreSeen runs it in another process and
// checks that it fails.
func TestBroken(t *testing.T) {
	name := os.Getenv(breakWith)
	if name == "" {
		t.Skip("runs only under TestFaultsAreSeen")
	}
	backendtest.Run(t, broken{reference.New(), faults[name]}, backendtest.Options{Gaps: faults[name].gaps})
}

// TestFaultsAreSeen holds that the suite finds each fault.
func TestFaultsAreSeen(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.short", "-test.run", "^TestBroken$/"+f.seenBy)
			cmd.Env = append(os.Environ(), breakWith+"="+name)
			out, err := cmd.CombinedOutput()
			seen := err != nil && strings.Contains(string(out), "--- FAIL: TestBroken/"+strings.TrimSuffix(f.seenBy, "$"))
			if f.fine && err != nil || !f.fine && !seen {
				t.Errorf("%s passes: want %v, got %v:\n%s", f.seenBy, f.fine, err, out)
			}
		})
	}
}
