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

// alternate times two things in turn, in the order A B B A, and reports the median of each and their ratio. The first round is not counted.
func alternate(b *testing.B, remote, local func()) {
	var times pair
	times.alternate(b.N, remote, local)
	times.report(b)
}

// pair is how long two things took, in seconds.
type pair [2][]float64

func (p *pair) alternate(rounds int, remote, local func()) {
	things := [2]func(){remote, local}
	for n := range rounds + 1 {
		for _, i := range []int{0, 1, 1, 0} {
			begin := time.Now()
			things[i]()
			if n > 0 {
				p[i] = append(p[i], time.Since(begin).Seconds())
			}
		}
	}
}

func (p *pair) report(b *testing.B) {
	for i := range p {
		slices.Sort(p[i])
	}
	r, l := p[0][len(p[0])/2], p[1][len(p[1])/2]
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
type stepper struct {
	next, done chan struct{}
	end        func()
}

// either is a compressor that can be exchanged between steps.
type either struct{ compress.Compressor }

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
	s.end = func() {
		stop()
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

// BenchmarkStep: a CrAM+ step of ResNet-20, batch 128, on images of 32×32.
func BenchmarkStep(b *testing.B) {
	local, err := cpu.New(cpu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer local.Close()
	b.Run("compressor", func(b *testing.B) { // out of process against the same host form here, in one training
		remote, here := start(b, command("topk")), host{compress.TopK(0.9)}
		c := &either{here}
		s := newStepper(b, local, c)
		defer s.end()
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
		// A session is faster or slower by a few percent as its memory happens to lie: several of each.
		var times pair
		for range 6 {
			remote, here := newStepper(b, backend, compress.TopK(0.9)), newStepper(b, local, compress.TopK(0.9))
			times.alternate(b.N, remote.step, here.step)
			remote.end()
			here.end()
		}
		times.report(b)
	})
}
