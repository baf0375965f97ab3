package plugins_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// alternate times two functions in turn, in the order A B B A, and reports the median of each and
// their ratio. The first round does not count.
func alternate(b *testing.B, remote, local func()) {
	var times timings
	times.alternate(b.N, remote, local)
	times.report(b)
}

// timings are the seconds that two functions took.
type timings [2][]float64

func (t *timings) alternate(rounds int, remote, local func()) {
	functions := [2]func(){remote, local}
	for n := range rounds + 1 {
		for _, i := range []int{0, 1, 1, 0} {
			start := time.Now()
			functions[i]()
			if n > 0 {
				t[i] = append(t[i], time.Since(start).Seconds())
			}
		}
	}
}

func (t *timings) report(b *testing.B) {
	for i := range t {
		slices.Sort(t[i])
	}
	r, l := t[0][len(t[0])/2], t[1][len(t[1])/2]
	b.ReportMetric(1e3*r, "plugin-ms")
	b.ReportMetric(1e3*l, "local-ms")
	b.ReportMetric(r/l, "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCompress compresses 64 MiB of weights in a plugin and in this process: results with
// masks, with masks in streams, and with values.
func BenchmarkCompress(b *testing.B) {
	w := weights(b, 4096, 4096)
	for _, c := range []struct {
		name   string
		role   string
		local  compress.Compressor
		stream bool
	}{
		{"mask", "topk", compress.TopK(0.9), false},
		{"mask-streamed", "topk", compress.TopK(0.9), true},
		{"values", "halve", compress.Func("halve", halve), false},
	} {
		b.Run(c.name, func(b *testing.B) {
			command := command(c.role)
			command.Stream = c.stream
			remote := launchCompressor(b, command)
			run := func(c compress.Compressor) func() {
				return func() {
					if _, err := c.Compress(b.Context(), w); err != nil {
						b.Fatal(err)
					}
				}
			}
			alternate(b, run(remote), run(c.local))
		})
	}
}

// BenchmarkEmptyCall makes a call without weights.
func BenchmarkEmptyCall(b *testing.B) {
	c := launchCompressor(b, command("topk"))
	for b.Loop() {
		if _, err := c.Compress(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// A stepper runs the steps of a training one by one.
type stepper struct {
	next, done chan struct{}
	stop       func()
}

// replaceable is a compressor that can be replaced between steps.
type replaceable struct{ compress.Compressor }

func newStepper(b *testing.B, backend backends.Backend, c compress.Compressor) *stepper {
	const batch = 128
	set, err := data.Shapes(batch, 1)
	if err != nil {
		b.Fatal(err)
	}
	indices := make([]int, batch*100_000)
	for i := range indices {
		indices[i] = i % batch
	}
	if set, err = data.Subset(set, indices); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	s := &stepper{next: make(chan struct{}), done: make(chan struct{})}
	t := sdk.Trainer{
		Model: models.ResNet20(10), Epochs: 1, Batch: batch, Method: optim.CrAMPlus(0.05, c), Backend: backend, Schedule: optim.Constant(1e-4),
		OnStep: func(sdk.Step) error {
			s.done <- struct{}{}
			select {
			case <-s.next:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	ended := make(chan struct{})
	s.stop = func() {
		cancel()
		<-ended
	}
	go func() {
		defer close(ended)
		if _, err := t.Fit(ctx, set, nil); err != nil && ctx.Err() == nil {
			b.Error(err)
		}
	}()
	<-s.done
	return s
}

func (s *stepper) step() {
	s.next <- struct{}{}
	<-s.done
}

// BenchmarkStep runs CrAM+ steps of ResNet-20 with batches of 128 images of 32×32.
func BenchmarkStep(b *testing.B) {
	local, err := cpu.New(cpu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer local.Close()
	b.Run("compressor", func(b *testing.B) { // in a plugin and in this process, in one training
		remote, here := launchCompressor(b, command("topk")), host{compress.TopK(0.9)}
		c := &replaceable{here}
		s := newStepper(b, local, c)
		defer s.stop()
		with := func(which compress.Compressor) func() {
			return func() {
				c.Compressor = which
				s.step()
			}
		}
		alternate(b, with(remote), with(here))
	})
	b.Run("backend", func(b *testing.B) { // plugins/avx512 against backends/cpu
		program := filepath.Join(b.TempDir(), "avx512")
		if out, err := exec.Command("go", "build", "-o", program, "./avx512").CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		backend := launch(b, plugins.Command{Path: program, Env: []string{"CRAM_CPU"}})
		// The addresses of its memory make a session a few percent faster or slower: use several.
		var times timings
		for range 6 {
			remote, here := newStepper(b, backend, compress.TopK(0.9)), newStepper(b, local, compress.TopK(0.9))
			times.alternate(b.N, remote.step, here.step)
			remote.stop()
			here.stop()
		}
		times.report(b)
	})
}
