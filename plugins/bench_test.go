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

// alternate times two things in turn, and reports the median of each and their ratio. The first of both is not counted.
func alternate(b *testing.B, remote, local func()) {
	var times [2][]float64
	for n := range b.N + 1 {
		for i, f := range []func(){remote, local} {
			begin := time.Now()
			f()
			if n > 0 {
				times[i] = append(times[i], time.Since(begin).Seconds())
			}
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	r, l := times[0][b.N/2], times[1][b.N/2]
	b.ReportMetric(1e3*r, "plugin-ms")
	b.ReportMetric(1e3*l, "local-ms")
	b.ReportMetric(r/l, "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCompress: 64 MiB of weights through a plugin and in this process; answers with masks, answers with values, and streams.
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
			remote := start(b, command)
			ask := func(c compress.Compressor) func() {
				return func() {
					if _, err := c.Compress(b.Context(), w); err != nil {
						b.Fatal(err)
					}
				}
			}
			alternate(b, ask(remote), ask(c.local))
		})
	}
}

// BenchmarkEmptyCall: no weights at all.
func BenchmarkEmptyCall(b *testing.B) {
	c := start(b, command("topk"))
	for b.Loop() {
		if _, err := c.Compress(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// stepper runs whole training steps one by one, in a training of its own.
type stepper struct{ next, done chan struct{} }

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
	ctx, stop := context.WithCancel(b.Context())
	s := &stepper{next: make(chan struct{}), done: make(chan struct{})}
	t := sdk.Trainer{
		Model: models.ResNet20(10), Epochs: 1, Batch: batch, Estimator: optim.CrAMPlus(0.05, c), Backend: backend, Schedule: optim.Constant(1e-4),
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
	go func() {
		defer close(ended)
		if _, err := t.Fit(ctx, set, nil); err != nil && ctx.Err() == nil {
			b.Error(err)
		}
	}()
	<-s.done
	b.Cleanup(func() {
		stop()
		<-ended
	})
	return s
}

func (s *stepper) step() {
	s.next <- struct{}{}
	<-s.done
}

// BenchmarkStep: a CrAM+ step of ResNet-20, batch 128, on images of 32×32.
func BenchmarkStep(b *testing.B) {
	local, err := cpu.New(cpu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer local.Close()
	b.Run("compressor", func(b *testing.B) { // out of process against the same host form here
		remote := newStepper(b, local, start(b, command("topk")))
		alternate(b, remote.step, newStepper(b, local, host{compress.TopK(0.9)}).step)
	})
	b.Run("backend", func(b *testing.B) { // plugins/avx512 against backends/cpu
		program := filepath.Join(b.TempDir(), "avx512")
		if out, err := exec.Command("go", "build", "-o", program, "./avx512").CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		backend := launch(b, plugins.Command{Path: program, Env: []string{"CRAM_CPU"}})
		remote := newStepper(b, backend, compress.TopK(0.9))
		alternate(b, remote.step, newStepper(b, local, compress.TopK(0.9)).step)
	})
}
