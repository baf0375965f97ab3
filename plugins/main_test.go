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
)

// role is the variable that makes the test binary a plugin: the tests' plugins are processes of their own.
const role = "CRAM_TEST_ROLE"

func TestMain(m *testing.M) {
	if r := os.Getenv(role); r == "host" {
		playHost()
	} else if lie, ok := strings.CutPrefix(r, "lie "); ok {
		tell(lies[lie])
		return
	} else if r != "" {
		play(r)
		return
	}
	os.Exit(m.Run())
}

// command launches the test binary in a role.
func command(r string) plugins.Command {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return plugins.Command{Path: exe, Env: []string{role + "=" + r, "CRAM_CPU"}, Log: slog.New(slog.DiscardHandler)}
}

// play is a plugin's main.
func play(r string) {
	serve := func(f func(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error)) {
		plugins.Serve(plugins.Plugin{Name: "test", Version: "1", Compressor: compress.Func(r, f), Values: true})
	}
	switch r {
	case "topk":
		plugins.Serve(plugins.Plugin{Name: "topk", Version: "1", Compressor: host{compress.TopK(0.9)}})
	case "halve": // answers with values
		serve(halve)
	case "nan":
		serve(func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			out := make([]compress.Compressed, len(w))
			out[0].Values = w[0].Data.Clone()
			out[0].Values.F32()[3] = float32(math.NaN())
			return out, nil
		})
	case "shape":
		serve(func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			out := make([]compress.Compressed, len(w))
			out[0].Mask, _ = array.New(array.Bit, w[0].Data.Len()*2)
			return out, nil
		})
	case "dtype":
		serve(func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			out := make([]compress.Compressed, len(w))
			out[0].Values, _ = array.New(array.F64, w[0].Dims...)
			return out, nil
		})
	case "count":
		serve(func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
			return make([]compress.Compressed, 5), nil
		})
	case "pattern": // a promise that the mask does not keep
		serve(func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			out, err := compress.Mask(w[0].Dims, func(int) bool { return true })
			out.Pattern = compress.Pattern{N: 2, M: 4, Axis: 1}
			return append([]compress.Compressed{out}, make([]compress.Compressed, len(w)-1)...), err
		})
	case "bias": // a mask for what is never masked
		serve(func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			out := make([]compress.Compressed, len(w))
			var err error
			out[1], err = compress.Mask(w[1].Dims, func(int) bool { return true })
			return out, err
		})
	case "writes": // to its input
		serve(func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			w[0].Data.F32()[2] = 7
			return make([]compress.Compressed, len(w)), nil
		})
	case "panics":
		serve(func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
			panic("a bug of the plugin's")
		})
	case "exits":
		serve(func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
			fmt.Fprintln(os.Stderr, "last words")
			os.Exit(3)
			return nil, nil
		})
	case "sleeps": // until it is cancelled
		serve(func(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
	case "hangs": // and listens to nobody
		serve(func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
			time.Sleep(time.Hour)
			return nil, nil
		})
	case "slow":
		serve(func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			time.Sleep(300 * time.Millisecond)
			return make([]compress.Compressed, len(w)), nil
		})
	case "chatter": // without a newline
		serve(func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			for range 1000 {
				fmt.Print("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789")
				fmt.Fprint(os.Stderr, "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789")
			}
			return make([]compress.Compressed, len(w)), nil
		})
	case "environment":
		serve(func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
			return nil, fmt.Errorf("%q", os.Environ())
		})
	case "silent": // no plugin at all
		time.Sleep(time.Hour)
	case "ends":
		fmt.Fprintln(os.Stderr, "wrong arguments \x1b[2J\u202e")
		os.Exit(4)
	case "cpu":
		b, err := cpu.New(cpu.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		plugins.Serve(plugins.Plugin{Name: "cpu", Version: "1", Backend: b})
	case "backend that panics":
		b, err := cpu.New(cpu.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		plugins.Serve(plugins.Plugin{Name: "panics", Version: "1", Backend: panicking{b}})
	default:
		fmt.Fprintln(os.Stderr, "no role", r)
		os.Exit(99)
	}
}

// panicking is a backend whose slots cannot be read.
type panicking struct{ backends.Backend }

type panickingSession struct{ backends.Session }

func (p panicking) NewSession(ctx context.Context) (backends.Session, error) {
	s, err := p.Backend.NewSession(ctx)
	return panickingSession{s}, err
}

func (panickingSession) Get(context.Context, string) (array.Tensor, error) {
	panic("a bug of the backend's")
}

// host hides the graph form of a compressor.
type host struct{ c compress.Compressor }

func (h host) String() string { return h.c.String() }

func (h host) Compress(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	return h.c.Compress(ctx, w)
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
