// Package plugintest tests that a program is a correct plugin, for the CI of its author:
//
//	func TestPlugin(t *testing.T) {
//		plugintest.Run(t, plugins.Command{Path: "./small"}, plugintest.Options{})
//	}
//
// It starts and ends the program, gets its description, and runs the suite of its kind across the
// process boundary: compresstest for compressors, backendtest for backends. It does so in streams
// and, if the plugin supports it, in shared memory. It compares the description of a compressor
// with its results: the pattern of the masks, new values, and equal results for equal weights, also
// in another process. `cram plugin test PROGRAM` does the same on the command line.
package plugintest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
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

// Options are the options of the suites. The zero value is right for a plugin without gaps.
type Options struct {
	Compressor compresstest.Options
	Backend    backendtest.Options
}

// Run tests the plugin that a command starts.
func Run(t *testing.T, command plugins.Command, o Options) {
	info, err := plugins.Describe(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("Describe", func(t *testing.T) { testDescribe(t, info) })
	commands := map[string]plugins.Command{"streamed": command}
	if info.SharedMemory {
		commands["shared"] = command
	}
	for name, c := range commands {
		c.Stream = name == "streamed"
		t.Run(name, func(t *testing.T) {
			if !t.Run("Call", func(t *testing.T) { testCall(t, c, info) }) {
				return // the other tests would wait for the same error
			}
			if info.Compressor != nil {
				t.Run("Compressor", func(t *testing.T) { compresstest.Run(t, launch(t, c), o.Compressor) })
				t.Run("Deterministic", func(t *testing.T) { testDeterministic(t, c) })
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

// testCall tests that a first call gets a reply.
func testCall(t *testing.T, command plugins.Command, info plugins.Info) {
	if info.Compressor != nil {
		compressed(t, launch(t, command), network(t, 0))
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
		t.Errorf("want a name and a version of the plugin, got %q and %q", info.Name, info.Version)
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
		start := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if c.StopTimeout == 0 && time.Since(start) > 5*time.Second {
			t.Error("the plugin did not exit when its standard input was closed, and was killed")
		}
	})
	return p
}

// network returns random weights of all roles.
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

func compressed(t *testing.T, c *plugins.Compressor, w []compress.Weight) []compress.Compressed {
	t.Helper()
	out, err := c.Compress(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// same reports whether two lists of results are equal, bit for bit.
func same(a, b []compress.Compressed) bool {
	for i := range a {
		if !bytes.Equal(a[i].Mask.Data, b[i].Mask.Data) || !bytes.Equal(a[i].Values.Data, b[i].Values.Data) ||
			a[i].Pattern != b[i].Pattern || a[i].Skipped != b[i].Skipped {
			return false
		}
	}
	return len(a) == len(b)
}

// testDeterministic tests that equal weights get equal results. (The package plugins checks the
// declared pattern and values of all results.)
func testDeterministic(t *testing.T, command plugins.Command) {
	c := launch(t, command)
	w := network(t, 1)
	if first := compressed(t, c, w); c.Describe().Compressor.Deterministic && !same(first, compressed(t, c, w)) {
		t.Error("declared deterministic, and results for equal weights differ")
	}
}

// testRestart tests that another process returns the same results.
func testRestart(t *testing.T, command plugins.Command) {
	c := launch(t, command)
	w := network(t, 2)
	before := compressed(t, c, w)
	if after := compressed(t, launch(t, command), w); c.Describe().Compressor.Deterministic && !same(before, after) {
		t.Error("declared deterministic, and the results of another process differ")
	}
}

// testConcurrency tests that concurrent calls return the same results as single calls.
func testConcurrency(t *testing.T, command plugins.Command) {
	c := launch(t, command)
	const callers = 8
	var alone [callers][]compress.Compressed
	var faults [callers]error
	for i := range alone {
		alone[i] = compressed(t, c, network(t, uint64(i)))
	}
	var wg sync.WaitGroup
	for i := range callers {
		w := network(t, uint64(i))
		wg.Go(func() {
			for range 5 {
				out, err := c.Compress(t.Context(), w)
				if err == nil && c.Describe().Compressor.Deterministic && !same(out, alone[i]) {
					err = errors.New("declared deterministic, and the results of concurrent calls differ from those of single calls")
				}
				faults[i] = cmp.Or(faults[i], err)
			}
		})
	}
	wg.Wait()
	reported := map[string]bool{}
	for _, err := range faults {
		if err != nil && !reported[err.Error()] {
			reported[err.Error()] = true
			t.Error(err)
		}
	}
}

// testCancel tests that cancelled calls end and that later calls work.
func testCancel(t *testing.T, command plugins.Command) {
	c := launch(t, command)
	w := network(t, 3)
	want := compressed(t, c, w)
	for delay := time.Duration(0); delay < 2*time.Millisecond; delay += 200 * time.Microsecond {
		ctx, cancel := context.WithTimeout(t.Context(), delay)
		out, err := c.Compress(ctx, w)
		cancel()
		if err == nil && c.Describe().Compressor.Deterministic && !same(out, want) {
			t.Fatal("declared deterministic, and the results of a call that ended before its cancellation differ")
		}
		if err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
	if out := compressed(t, c, w); c.Describe().Compressor.Deterministic && !same(out, want) {
		t.Error("declared deterministic, and the results after cancelled calls differ")
	}
}
