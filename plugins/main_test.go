package plugins_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// role is the variable that makes the test binary a plugin: the plugins of the tests are processes
// of this binary.
const role = "CRAM_TEST_ROLE"

func TestMain(m *testing.M) {
	r := os.Getenv(role)
	if r == "" {
		os.Exit(m.Run())
	}
	if name, ok := strings.CutPrefix(r, "fake "); ok {
		serveFake(fakes[name])
		return
	}
	play, ok := roles[r]
	if !ok {
		fmt.Fprintln(os.Stderr, "no role", r)
		os.Exit(99)
	}
	play()
}

// command starts the test binary in a role.
func command(r string) plugins.Command {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return plugins.Command{Path: exe, Env: []string{role + "=" + r, "CRAM_CPU"}, Log: slog.New(slog.DiscardHandler)}
}

// roles are the main functions of the plugins, by role.
var roles = map[string]func(){
	"host": playHost,
	"topk": func() {
		plugins.Serve(plugins.Plugin{Name: "topk", Version: "1", Compressor: host{compress.TopK(0.9)}})
	},
	"environment": serve("environment", func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
		return nil, fmt.Errorf("%q", os.Environ())
	}),
	"nameless": func() { plugins.Serve(plugins.Plugin{Compressor: compress.Func("x", halve)}) },
	"silent":   func() { time.Sleep(time.Hour) }, // not a plugin
	"ends": func() {
		fmt.Fprintln(os.Stderr, "wrong arguments \x1b[2J\u202e")
		os.Exit(4)
	},

	// Results with new values.
	"halve": serve("halve", halve),

	// Invalid results.
	"nan": serve("nan", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		out[0].Values = w[0].Data.Clone()
		out[0].Values.F32()[3] = float32(math.NaN())
		return out, nil
	}),
	"shape": serve("shape", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		out[0].Mask, _ = array.New(array.Bit, w[0].Data.Len()*2)
		return out, nil
	}),
	"flat": serve("flat", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		out[0].Mask, _ = array.New(array.Bit, w[0].Data.Len()) // the right number of bits
		return out, nil
	}),
	"flat values": serve("flat", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		out[0].Values, _ = array.New(array.F32, w[0].Data.Len())
		return out, nil
	}),
	"short": serve("short", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		out[0].Mask = array.Tensor{DType: array.Bit, Dims: w[0].Dims, Data: make([]byte, 1)}
		return out, nil
	}),
	"undeclared": func() {
		plugins.Serve(plugins.Plugin{Name: "test", Version: "1", Compressor: compress.Func("halve", halve)})
	},
	"no pattern": func() {
		plugins.Serve(plugins.Plugin{
			Name: "test", Version: "1", Compressor: compress.Func("unstated", host{compress.NM{N: 2, M: 4}}.unstated),
			Pattern: compress.Pattern{N: 2, M: 4},
		})
	},
	"dtype": serve("dtype", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		out[0].Values, _ = array.New(array.F64, w[0].Dims...)
		return out, nil
	}),
	"count": serve("count", func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
		return make([]compress.Compressed, 5), nil
	}),
	"pattern": serve("pattern", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out, err := compress.Mask(w[0].Dims, func(int) bool { return true })
		out.Pattern = compress.Pattern{N: 2, M: 4, Axis: 1}
		return append([]compress.Compressed{out}, make([]compress.Compressed, len(w)-1)...), err
	}),
	"bias": serve("bias", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		var err error
		out[1], err = compress.Mask(w[1].Dims, func(int) bool { return true })
		return out, err
	}),
	"writes": serve("writes", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		w[0].Data.F32()[2] = 7
		return make([]compress.Compressed, len(w)), nil
	}),

	// Calls that end otherwise, late or never.
	"panics": serve("panics", func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
		panic("a bug of the plugin's")
	}),
	"exits": serve("exits", func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
		fmt.Fprintln(os.Stderr, "last words\nof two lines")
		os.Exit(3)
		return nil, nil
	}),
	"sleeps": serve("sleeps", func(ctx context.Context, _ []compress.Weight) ([]compress.Compressed, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}),
	"hangs": serve("hangs", func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
		time.Sleep(time.Hour) // ignores its context
		return nil, nil
	}),
	"slow": serve("slow", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		time.Sleep(300 * time.Millisecond)
		return make([]compress.Compressed, len(w)), nil
	}),
	"chatter": serve("chatter", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		text := strings.Repeat("0123456789", 10) // without a newline
		for range 1000 {
			fmt.Print(text)
			fmt.Fprint(os.Stderr, text)
		}
		return make([]compress.Compressed, len(w)), nil
	}),

	// Backends.
	"cpu":                 serveBackend("cpu", func(b backends.Backend) backends.Backend { return b }),
	"backend that panics": serveBackend("panics", func(b backends.Backend) backends.Backend { return panicking{b} }),
	"own outputs":         serveBackend("own", func(b backends.Backend) backends.Backend { return ownOutputs{b} }),
	"fields":              func() { plugins.Serve(plugins.FieldPlugin) },
}

// serve returns the main of a plugin with a compressor that can return new values.
func serve(name string, f func(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error)) func() {
	return func() {
		plugins.Serve(plugins.Plugin{Name: "test", Version: "1", Compressor: compress.Func(name, f), Values: true})
	}
}

// serveBackend returns the main of a plugin with the CPU backend, changed by a function.
func serveBackend(name string, change func(backends.Backend) backends.Backend) func() {
	return func() {
		b, err := cpu.New(cpu.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		plugins.Serve(plugins.Plugin{Name: name, Version: "1", Backend: change(b)})
	}
}

// panicking is a backend whose sessions panic in Get.
type panicking struct{ backends.Backend }

type panickingSession struct{ backends.Session }

func (p panicking) NewSession(ctx context.Context) (backends.Session, error) {
	s, err := p.Backend.NewSession(ctx)
	return panickingSession{s}, err
}

func (panickingSession) Get(context.Context, string) (array.Tensor, error) {
	panic("a bug of the backend's")
}

// ownOutputs is a backend whose executables return outputs in their own memory.
type ownOutputs struct{ backends.Backend }

type ownSession struct{ backends.Session }

type ownExecutable struct{ backends.Executable }

func (b ownOutputs) NewSession(ctx context.Context) (backends.Session, error) {
	s, err := b.Backend.NewSession(ctx)
	return ownSession{s}, err
}

func (s ownSession) Compile(ctx context.Context, p *graph.Program, o backends.Options) (backends.Executable, error) {
	e, err := s.Session.Compile(ctx, p, o)
	return ownExecutable{e}, err
}

func (e ownExecutable) Run(ctx context.Context, in, _ []array.Tensor) ([]array.Tensor, error) {
	return e.Executable.Run(ctx, in, nil)
}

// host hides the graph form of a compressor, and has another name.
type host struct{ c compress.Compressor }

func (h host) String() string { return "host-" + h.c.String() }

func (h host) Compress(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	return h.c.Compress(ctx, w)
}

// unstated returns the masks of the compressor without their pattern.
func (h host) unstated(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	out, err := h.Compress(ctx, w)
	for i := range out {
		out[i].Pattern = compress.Pattern{}
	}
	return out, err
}

func halve(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	out := make([]compress.Compressed, len(w))
	for i, x := range w {
		t := x.Data.Clone()
		for j := range t.F32() {
			t.F32()[j] /= 2
		}
		for j := range t.F64() {
			t.F64()[j] /= 2
		}
		out[i].Values = t
	}
	return out, nil
}
