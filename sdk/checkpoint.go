package sdk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/metric"
)

// CheckpointOptions state where a training is saved, so that it can resume, and which checkpoints
// are kept. If Path exists, Fit resumes from it; it refuses a checkpoint of another recipe, and one
// of another backend or instruction set.
type CheckpointOptions struct {
	// Path is the file of the newest checkpoint. "": the training is not saved.
	Path string

	// Every is the number of steps between checkpoints. 0: one after each epoch.
	Every int

	// KeepLast is the number of checkpoints that are kept in addition, each at "Path.stepN" after N
	// steps. 0: none but that at Path.
	KeepLast int

	// Best is the metric by which the best epoch is kept at [CheckpointOptions.BestPath], the first
	// of equal ones. It must be among Trainer.Metrics. Nil: the best epoch is not kept.
	Best metric.Metric

	// AllowOtherBackend resumes from a checkpoint of another backend or instruction set, whose sums
	// round differently: the network is then no longer bit-equal to that of an uninterrupted
	// training. Info.Versions["backend"] lists what it was trained on. False: that is an error.
	AllowOtherBackend bool
}

// BestPath returns the file of the best checkpoint.
func (c CheckpointOptions) BestPath() string { return c.Path + ".best" }

func (c CheckpointOptions) check(validated bool, metrics []metric.Metric) error {
	same := func(m metric.Metric) bool { return m.String() == c.Best.String() }
	switch {
	case c.Every < 0:
		return fmt.Errorf("Trainer.Checkpoint.Every: want 0 or more, got %d", c.Every)
	case c.KeepLast < 0:
		return fmt.Errorf("Trainer.Checkpoint.KeepLast: want 0 or more, got %d", c.KeepLast)
	case c.Path == "" && (c.KeepLast > 0 || c.Best != nil):
		return errors.New("Trainer.Checkpoint: want a Path for the checkpoints to keep, got none")
	case c.Best != nil && !validated:
		return errors.New("Trainer.Checkpoint.Best: want a validation set, got none")
	case c.Best != nil && !slices.ContainsFunc(metrics, same):
		return fmt.Errorf("Trainer.Checkpoint.Best: want one of the metrics %v, got %v", metrics, c.Best)
	}
	return nil
}

// better reports whether s is better than the best score so far. NaN is never better.
func (c CheckpointOptions) better(s, best *Score) bool {
	if c.Best == nil || s == nil {
		return false
	}
	value := s.Values[c.Best.String()]
	if math.IsNaN(value) {
		return false
	}
	if best == nil {
		return true
	}
	if c.Best.HigherIsBetter() {
		return value > best.Values[c.Best.String()]
	}
	return value < best.Values[c.Best.String()]
}

// stepPath returns the file of the checkpoint after a number of steps.
func (c CheckpointOptions) stepPath(step int) string { return fmt.Sprintf("%s.step%d", c.Path, step) }

// keepLast writes the checkpoint of this step and removes those that are too old. A training that
// has resumed from an earlier checkpoint does not touch later ones until it reaches them again.
func (c CheckpointOptions) keepLast(file *checkpoint.File, step int) error {
	if c.KeepLast == 0 {
		return nil
	}
	if err := checkpoint.Save(c.stepPath(step), file); err != nil {
		return err
	}
	steps, err := c.kept()
	if err != nil {
		return err
	}
	steps = slices.DeleteFunc(steps, func(s int) bool { return s > step })
	for _, old := range steps[:max(0, len(steps)-c.KeepLast)] {
		if err := os.Remove(c.stepPath(old)); err != nil {
			return err
		}
	}
	return nil
}

// kept returns the steps that have a checkpoint of their own, ascending.
func (c CheckpointOptions) kept() ([]int, error) {
	entries, err := os.ReadDir(filepath.Dir(c.Path))
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), filepath.Base(c.Path)+".step")
		if step, err := strconv.Atoi(number); ok && err == nil && strconv.Itoa(step) == number {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// Names in the state of a training in progress. Scores of the best checkpoint follow stateBest.
const (
	stateEpoch    = "epoch"
	stateBatch    = "batch"
	stateStep     = "step"
	stateExamples = "examples"
	stateLoss     = "loss"
	stateBest     = "best/"
	stateBestSize = "best examples"
)

// due reports whether a checkpoint is due after this step. The checkpoint after an epoch is written
// once the epoch is validated.
func (f *training) due() bool {
	every := f.Checkpoint.Every
	return every > 0 && f.step%every == 0 && f.batch > 0 && f.batch < f.loader.Batches()
}

// interrupted saves a training that ends early, unless nothing is new or the weights are unusable.
func (f *training) interrupted(ctx context.Context, why error) error {
	if f.Checkpoint.Path == "" || f.position == f.saved || errors.Is(why, ErrDiverged) || errors.Is(why, backends.ErrLost) {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	if f.due() {
		return f.checkpoint(ctx, nil)
	}
	file, err := f.file(ctx)
	if err != nil {
		return err
	}
	return f.save(file)
}

// checkpoint writes the checkpoints that are due; score (nil: none) decides which is best. The file
// that a resume reads is written last, so that it never refers to one that is missing.
func (f *training) checkpoint(ctx context.Context, score *Score) error {
	if f.Checkpoint.Path == "" {
		return nil
	}
	best := f.Checkpoint.better(score, f.best)
	if best {
		f.best = score
	}
	file, err := f.file(ctx)
	if err != nil {
		return err
	}
	if best {
		if err := checkpoint.Save(f.Checkpoint.BestPath(), file); err != nil {
			return err
		}
	}
	if err := f.Checkpoint.keepLast(file, f.step); err != nil {
		return err
	}
	return f.save(file)
}

// save writes the checkpoint that a resume reads.
func (f *training) save(file *checkpoint.File) error {
	if err := checkpoint.Save(f.Checkpoint.Path, file); err != nil {
		return err
	}
	f.saved = f.position
	return nil
}

// file returns the training as the content of a checkpoint.
func (f *training) file(ctx context.Context) (*checkpoint.File, error) {
	net, err := f.network(ctx)
	if err != nil {
		return nil, err
	}
	state := &checkpoint.State{
		Ints:    map[string]int64{stateEpoch: int64(f.epoch), stateBatch: int64(f.batch), stateStep: int64(f.step), stateExamples: int64(f.examples)},
		Tensors: map[string]array.Value{},
	}
	numbers := map[string]float64{stateLoss: f.lossSum}
	if f.best != nil {
		state.Ints[stateBestSize] = int64(f.best.Examples)
		for name, v := range f.best.Values {
			numbers[stateBest+name] = v
		}
	}
	for name, v := range numbers {
		t, err := array.Scalar(array.F64, v)
		if err != nil {
			return nil, err
		}
		state.Tensors[name] = array.DenseValue(t)
	}
	for _, name := range f.runner.State() {
		t, err := f.session.Get(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("checkpoint: %s: %w", name, err)
		}
		state.Tensors[name] = array.DenseValue(t)
	}
	file := net.file()
	file.State = state
	return file, nil
}
