package cpu_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/backendtest"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn/models"
)

// instructionSets returns the instruction sets that this processor and build offer.
func instructionSets() []string {
	var names []string
	for l := kernels.Portable; l <= kernels.Supported(); l++ {
		names = append(names, l.String())
	}
	return names
}

func open(tb testing.TB, o cpu.Options) *cpu.Backend {
	tb.Helper()
	b, err := cpu.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

func TestConformance(t *testing.T) {
	for i, isa := range instructionSets() {
		for threads := 1; threads <= 3; threads++ {
			t.Run(fmt.Sprintf("%s/threads=%d", isa, threads), func(t *testing.T) {
				if threads != i+1 && os.Getenv("CRAM_LONG") != "1" {
					t.Skip("every number of threads with every isa: only with CRAM_LONG=1")
				}
				backendtest.Run(t, open(t, cpu.Options{InstructionSet: isa, Threads: threads}), backendtest.Options{})
			})
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		options  cpu.Options
		contains string
	}{
		{cpu.Options{Threads: -1}, "-1 threads"},
		{cpu.Options{Threads: 1 << 20}, "threads"},
		{cpu.Options{InstructionSet: "sse"}, "sse"},
	} {
		if b, err := cpu.New(c.options); err == nil || !strings.Contains(err.Error(), c.contains) {
			t.Errorf("%+v: backend %v, error %v; want an error with %q", c.options, b, err, c.contains)
		}
	}
	t.Setenv(kernels.Override, "abacus")
	if _, err := cpu.New(cpu.Options{}); err == nil || !strings.Contains(err.Error(), "abacus") {
		t.Errorf("%s=abacus: error %v", kernels.Override, err)
	}
	t.Setenv(kernels.Override, "portable")
	if b := open(t, cpu.Options{}); b.Info().InstructionSet != "portable" {
		t.Errorf("%s=portable: isa is %s", kernels.Override, b.Info().InstructionSet)
	}
}

// A run of a job runs every chunk exactly once, whether helpers are early or late, awake or asleep.
// The counts are plain integers: the race detector finds a run that ends before its chunks.
func TestPoolRunsEveryChunkOnce(t *testing.T) {
	const times = 3
	var chunks []int
	for i := range 2000 {
		chunks = append(chunks, 1+i*i%17)
	}
	for _, threads := range []int{1, 2, 3, 8} {
		for i, counts := range cpu.RunJobs(threads, times, chunks) {
			for chunk, n := range counts {
				if n != times {
					t.Fatalf("%d threads: chunk %d of job %d, which has %d, was run %d times", threads, chunk, i, len(counts), n)
				}
			}
		}
	}
}

// A CrAM+ step of ResNet-20 on 128 images has at most 28 tensors of 8 MiB at a time, and smaller
// ones.
func TestMemoryOfTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a step of ResNet-20 on 128 images")
	}
	tr := newTrainer(t, open(t, cpu.Options{Threads: 2}), trainStep(t, models.ResNet20(10), 32, 27090), 128, 32)
	tr.step(t)
	arena, err := cpu.CheckMemory(tr.exe)
	if err != nil {
		t.Fatal(err)
	}
	if most := 256 << 20; arena > most {
		t.Errorf("arena of %d MiB, want at most %d", arena>>20, most>>20)
	}
}

func TestMemoryOfSmallPlans(t *testing.T) {
	for _, threads := range []int{1, 3} {
		for _, batch := range []int{1, 2, 5, 33} {
			tr := newTrainer(t, open(t, cpu.Options{Threads: threads}), trainStep(t, smallResNet, 12, 4000), batch, 12)
			tr.step(t)
			if _, err := cpu.CheckMemory(tr.exe); err != nil {
				t.Errorf("%d threads, batch %d: %v", threads, batch, err)
			}
		}
	}
}

func TestPinObeysAndRefuses(t *testing.T) {
	s, err := open(t, cpu.Options{}).NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, values := inference(t, smallResNet, 12)
	e, err := s.Compile(t.Context(), p, backends.Options{Const: values})
	if err != nil {
		t.Fatal(err)
	}
	plan := e.Plan()
	if got, _ := plan.Kernel("conv1.weight: conv2d 3→8 3×3"); got != "direct" {
		t.Errorf("plan %v: kernel of conv1.weight is %q, want direct", plan, got)
	}
	if _, err := s.Compile(t.Context(), p, backends.Options{Const: values, Pin: plan}); err != nil {
		t.Errorf("pinning the plan of an earlier compilation: %v", err)
	}
	for _, pin := range []backends.Choice{{Name: "conv1.weight: conv2d 3→8 3×3", Kernel: "abacus"}, {Name: "nothing", Kernel: "direct"}} {
		if _, err := s.Compile(t.Context(), p, backends.Options{Pin: &backends.Plan{Choices: []backends.Choice{pin}}}); err == nil {
			t.Errorf("pin %v: no error", pin)
		}
	}
}

func TestProfileAccountsForTheStep(t *testing.T) {
	tr := newTrainer(t, open(t, cpu.Options{Threads: 1, Profile: true}), trainStep(t, smallResNet, 12, 0), 8, 12)
	start := time.Now()
	tr.step(t)
	wall := time.Since(start)
	times := tr.exe.(cpu.Profiler).Profile()
	total, names := time.Duration(0), ""
	for _, s := range times {
		total += s.Time
		names += s.Name + "\n"
		if s.Calls < 1 {
			t.Errorf("%s: %d calls", s.Name, s.Calls)
		}
	}
	if total <= 0 || total > wall {
		t.Errorf("steps took %v, the run %v", total, wall)
	}
	for _, want := range []string{"conv1.weight: conv2d 3→8 3×3", "batch_norm_grad bn1.weight", "cross_entropy"} {
		if !strings.Contains(names, want) {
			t.Errorf("no step %q in\n%s", want, names)
		}
	}
	if again := tr.exe.(cpu.Profiler).Profile(); len(again) != 0 {
		t.Errorf("a second call returned %d steps", len(again))
	}
}

// A limit includes what Compile packs, and what a run computes between its inputs and its outputs.
func TestMemoryLimit(t *testing.T) {
	s, err := open(t, cpu.Options{Threads: 1}).NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, values := inference(t, smallResNet, 12)
	bytes := int64(0)
	for _, v := range values {
		bytes += int64(v.Bytes())
	}
	x := func(n int) []array.Tensor {
		images, err := array.New(array.F32, n, 3, 12, 12)
		if err != nil {
			t.Fatal(err)
		}
		return []array.Tensor{images}
	}
	var memory *backends.MemoryError
	if _, err := s.Compile(t.Context(), p, backends.Options{Const: values, MemoryLimit: bytes}); !errors.As(err, &memory) || !strings.HasPrefix(memory.What, "packed weights of conv1.weight") {
		t.Fatalf("a limit of what the constants take: got %v, want a MemoryError for packed weights", err)
	}
	limit := 4 * bytes
	e, err := s.Compile(t.Context(), p, backends.Options{Const: values, MemoryLimit: limit})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(t.Context(), x(1), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(t.Context(), x(1<<10), nil); !errors.As(err, &memory) || memory.Limit != limit || !strings.Contains(memory.What, "N=1024, the largest value being") {
		t.Fatalf("1024 images: got %v, want a MemoryError that names the largest value", err)
	}
	if _, err := s.Compile(t.Context(), p, backends.Options{Const: values, MemoryLimit: memory.Want}); err != nil {
		t.Fatalf("a limit of what the error asks for: %v", err)
	}

	b := graph.NewBuilder()
	row := b.Slot(graph.Slot{Name: "row", Type: graph.Type{DType: array.F32, Shape: graph.Of(1, 1000)}})
	b.Output("y", b.Sum(b.MatMul(row, row, true, false), false))
	fixed, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Compile(t.Context(), fixed, backends.Options{MemoryLimit: 1 << 20}); !errors.As(err, &memory) || !strings.Contains(memory.What, "f32[1000 1000]") {
		t.Errorf("a program without symbols: got %v, want a MemoryError from Compile that names the product", err)
	}
}
