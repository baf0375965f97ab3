// Package plugintest holds a plugin's program to everything that cram expects of one, for its author's own CI:
//
//	func TestPlugin(t *testing.T) {
//		plugintest.Run(t, plugins.Command{Path: "./small"}, plugintest.Options{})
//	}
//
// It starts and stops the program, asks it what it is, and runs the suite of its kind through the process boundary:
// compresstest for compressors, backendtest for backends, in shared memory, where the plugin takes it, and in streams. What the plugin
// declares is compared with what it does: the pattern of its masks, values or none, equal answers to equal weights, also after a restart. `cram
// plugin test PROGRAM` does the same from the command line.
package plugintest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/compressaware/cram/backends/backendtest"
	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/compress/compresstest"
	"github.com/compressaware/cram/sdk/graph"
)

// Options say what to expect of a plugin. The zero value is right for a compressor of any weights.
type Options struct {
	Compressor compresstest.Options // for its suite
	Backend    backendtest.Options  // for its suite
}

// Run holds the program to the suite.
func Run(t *testing.T, command plugins.Command, o Options) {
	info, err := plugins.Describe(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("Describe", func(t *testing.T) { testDescribe(t, info) })
	ways := map[string]plugins.Command{"streamed": command}
	if info.SharedMemory {
		ways["shared"] = command
	}
	for name, c := range ways {
		c.Stream = name == "streamed"
		t.Run(name, func(t *testing.T) {
			if !t.Run("Call", func(t *testing.T) { testCall(t, c, info) }) {
				return // the rest would wait for the same, time after time
			}
			if info.Compressor != nil {
				t.Run("Compressor", func(t *testing.T) { compresstest.Run(t, launch(t, c), o.Compressor) })
				t.Run("Declared", func(t *testing.T) { testDeclared(t, c) })
				t.Run("Restart", func(t *testing.T) { testRestart(t, c) })
				t.Run("Concurrency", func(t *testing.T) { testConcurrency(t, c) })
				t.Run("Cancel", func(t *testing.T) { testCancel(t, c) })
			}
			if info.Backend != nil {
				t.Run("Backend", func(t *testing.T) {
					b, err := plugins.LaunchBackend(t.Context(), c)
					if err != nil {
						t.Fatal(err)
					}
					backendtest.Run(t, b, o.Backend)
				})
			}
		})
	}
}

// testCall: a first call is answered at all.
func testCall(t *testing.T, command plugins.Command, info plugins.Info) {
	if info.Compressor != nil {
		ask(t, launch(t, command), network(t, 0))
	}
	if info.Backend != nil {
		b, err := plugins.LaunchBackend(t.Context(), command)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		s, err := b.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func testDescribe(t *testing.T, info plugins.Info) {
	if info.Name == "" || info.Version == "" {
		t.Errorf("the plugin has the name %q and the version %q; people want both", info.Name, info.Version)
	}
	t.Logf("%s %s, protocol %d", info.Name, info.Version, info.Protocol)
}

func launch(t *testing.T, c plugins.Command) *plugins.Compressor {
	t.Helper()
	p, err := plugins.LaunchCompressor(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		begin := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if c.StopTimeout == 0 && time.Since(begin) > 5*time.Second {
			t.Error("the plugin did not exit when its standard input ended, and was killed")
		}
	})
	return p
}

// network returns weights of every role, drawn from a seed.
func network(t *testing.T, seed uint64) []compress.Weight {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	w := []compress.Weight{
		{Meta: compress.Meta{Name: "conv.weight", Role: graph.Kernel, Dims: []int{8, 4, 3, 3}, First: true}},
		{Meta: compress.Meta{Name: "norm.weight", Role: graph.Norm, Dims: []int{8}}},
		{Meta: compress.Meta{Name: "fc.weight", Role: graph.Kernel, Dims: []int{10, 32}, Last: true}},
		{Meta: compress.Meta{Name: "fc.bias", Role: graph.Bias, Dims: []int{10}}},
	}
	for i := range w {
		data, err := array.New(array.F32, w[i].Dims...)
		if err != nil {
			t.Fatal(err)
		}
		for j := range data.F32() {
			data.F32()[j] = float32(r.NormFloat64())
		}
		w[i].Data = data
	}
	return w
}

func ask(t *testing.T, c *plugins.Compressor, w []compress.Weight) []compress.Compressed {
	t.Helper()
	out, err := c.Compress(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// same reports whether two answers are equal, bit for bit.
func same(a, b []compress.Compressed) bool {
	for i := range a {
		if !bytes.Equal(a[i].Mask.Data, b[i].Mask.Data) || !bytes.Equal(a[i].Values.Data, b[i].Values.Data) ||
			a[i].Pattern != b[i].Pattern || a[i].Skipped != b[i].Skipped {
			return false
		}
	}
	return len(a) == len(b)
}

// testDeclared: launching checks pattern and values with every answer; determinism takes two.
func testDeclared(t *testing.T, command plugins.Command) {
	c := launch(t, command)
	w := network(t, 1)
	if first := ask(t, c, w); c.Info().Compressor.Deterministic && !same(first, ask(t, c, w)) {
		t.Error("declared deterministic, and answers the same weights differently")
	}
}

// testRestart: another process answers the same.
func testRestart(t *testing.T, command plugins.Command) {
	c := launch(t, command)
	w := network(t, 2)
	before := ask(t, c, w)
	if after := ask(t, launch(t, command), w); c.Info().Compressor.Deterministic && !same(before, after) {
		t.Error("declared deterministic, and another process answers differently")
	}
}

// testConcurrency: calls at the same time get the answers of calls alone.
func testConcurrency(t *testing.T, command plugins.Command) {
	c := launch(t, command)
	const callers = 8
	var alone [callers][]compress.Compressed
	for i := range alone {
		alone[i] = ask(t, c, network(t, uint64(i)))
	}
	var wg sync.WaitGroup
	for i := range callers {
		w := network(t, uint64(i))
		wg.Go(func() {
			for range 5 {
				out, err := c.Compress(t.Context(), w)
				if err != nil {
					t.Error(err)
				} else if c.Info().Compressor.Deterministic && !same(out, alone[i]) {
					t.Error("a call among others is answered differently from one alone")
				}
			}
		})
	}
	wg.Wait()
}

// testCancel: calls that are cancelled end, and the plugin goes on.
func testCancel(t *testing.T, command plugins.Command) {
	c := launch(t, command)
	w := network(t, 3)
	want := ask(t, c, w)
	for delay := time.Duration(0); delay < 2*time.Millisecond; delay += 200 * time.Microsecond {
		ctx, cancel := context.WithTimeout(t.Context(), delay)
		out, err := c.Compress(ctx, w)
		cancel()
		if err == nil && c.Info().Compressor.Deterministic && !same(out, want) {
			t.Error("a call that was nearly cancelled is answered differently")
		}
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
	if out := ask(t, c, w); c.Info().Compressor.Deterministic && !same(out, want) {
		t.Error("after cancelled calls the plugin answers differently")
	}
}
