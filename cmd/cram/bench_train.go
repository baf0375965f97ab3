package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

type benchTrainFlags struct {
	model         string
	batch         int
	warmup, steps int
	profile       string
	method        methodFlags
	optimizer     optimizerFlags
	backend       backendFlags
}

func (a *app) benchTrain() *cobra.Command {
	var f benchTrainFlags
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Time training steps",
		Long: `Train on random images of the size for which the model was published, and print the median time
of a step, with the time to prepare its batch.`,
		Example: `  cram bench train --model resnet20 --batch 128 --threads 2 --method sgd --json
  cram bench train --model resnet20 --method cram+ --levels 0.9 --cpuprofile cpu.out`,
		Args: cobra.NoArgs,
		RunE: a.action(func(ctx context.Context, _ []string) error { return a.runBenchTrain(ctx, f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	addModel(fs, &f.model, "resnet20")
	fs.IntVar(&f.batch, "batch", 128, "examples per step")
	fs.IntVar(&f.steps, "steps", 20, "steps to time")
	fs.IntVar(&f.warmup, "skip", 3, "steps before the first that is timed")
	fs.StringVar(&f.profile, "cpuprofile", "", "write a CPU profile of the timed steps to `FILE`")
	f.method.add(fs)
	f.optimizer.add(fs)
	f.backend.add(fs)
	return cmd
}

// A benchTrainResult is the result of bench train.
type benchTrainResult struct {
	Model          string  `json:"model"`
	Method         string  `json:"method"`
	Batch          int     `json:"batch"`
	Steps          int     `json:"steps"`
	Step           float64 `json:"step_s"` // median
	Fastest        float64 `json:"step_min_s"`
	PerSecond      float64 `json:"images_per_s"` // at the median time of a step
	Backend        string  `json:"backend"`
	InstructionSet string  `json:"instruction_set"`
	Threads        int     `json:"threads"`
}

func (r benchTrainResult) text() string {
	return fmt.Sprintf("%s, %s, batch %d: %.1f images/s, median step %.1f ms (fastest %.1f ms) of %d on %s %s, %d threads",
		r.Model, r.Method, r.Batch, r.PerSecond, 1e3*r.Step, 1e3*r.Fastest, r.Steps, r.Backend, r.InstructionSet, r.Threads)
}

func (a *app) runBenchTrain(ctx context.Context, f benchTrainFlags) error {
	if err := cmp.Or(
		checkModel(f.model),
		atLeast(1, "batch", f.batch),
		atLeast(1, "steps", f.steps),
		atLeast(1, "skip", f.warmup),
	); err != nil {
		return err
	}
	const classes = 10
	model, input, err := models.New(f.model, classes)
	if err != nil {
		return err
	}
	example, _ := input.Shape.Dims()
	set, err := noise(example, f.batch, f.warmup+f.steps, classes)
	if err != nil {
		return err
	}
	t := sdk.Trainer{Model: model, Epochs: 1, Batch: f.batch, Schedule: optim.Constant(1e-3)}
	if err := f.method.levels.launch(ctx); err != nil {
		return err
	}
	defer f.method.levels.close()
	if t.Method, err = f.method.method(); err != nil {
		return err
	}
	if t.Optimizer, err = f.optimizer.optimizer(); err != nil {
		return err
	}
	if t.Backend, err = f.backend.open(ctx); err != nil {
		return err
	}
	defer t.Backend.Close()
	info := t.Backend.Info()
	clock := stopwatch{skip: f.warmup}
	if f.profile != "" {
		file, err := os.Create(f.profile)
		if err != nil {
			return err
		}
		defer file.Close()
		clock.onStart = func() error { return pprof.StartCPUProfile(file) }
		defer pprof.StopCPUProfile()
	}
	t.OnStep = clock.tick
	if _, err := t.Fit(ctx, set, nil); err != nil {
		return err
	}
	middle, fastest := median(clock.times), slices.Min(clock.times)
	return a.print(benchTrainResult{
		Model: f.model, Method: f.method.name, Batch: f.batch, Steps: f.steps,
		Step: middle, Fastest: fastest, PerSecond: float64(f.batch) / middle,
		Backend: info.Name, InstructionSet: info.InstructionSet, Threads: info.Threads,
	})
}

// A stopwatch measures the time of a step from the end of the step before.
type stopwatch struct {
	skip    int
	onStart func() error
	last    time.Time
	times   []float64 // seconds
}

func (w *stopwatch) tick(s sdk.Step) error {
	now := time.Now()
	if s.Step >= w.skip {
		w.times = append(w.times, now.Sub(w.last).Seconds())
	}
	if s.Step == w.skip-1 && w.onStart != nil {
		if err := w.onStart(); err != nil {
			return errors.Join(errors.New("cpu profile"), err)
		}
		now = time.Now()
	}
	w.last = now
	return nil
}

func median(times []float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// noise returns a set of the given number of batches of uniform noise. All batches are the same.
func noise(example []int, batch, steps, classes int) (data.Set, error) {
	elements := batch
	for _, d := range example {
		elements *= d
	}
	r := data.NewRandom(1)
	x := make([]float32, elements)
	for i := range x {
		x[i] = r.Float32()
	}
	labels := make([]int, batch)
	for i := range labels {
		labels[i] = r.IntN(classes)
	}
	set, err := data.FromSlices(example, x, labels, nil)
	if err != nil {
		return nil, err
	}
	indices := make([]int, batch*steps)
	for i := range indices {
		indices[i] = i % batch
	}
	return data.Subset(set, indices)
}
