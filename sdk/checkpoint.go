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

// CheckpointOptions state where a training is saved and which checkpoints are kept. If Path exists,
// Fit resumes from it. A checkpoint of another recipe, and one of another backend or instruction
// set, is an error.
type CheckpointOptions struct {
	// Path is the file of the newest checkpoint. Its directory exists. "": the training is not
	// saved.
	Path string

	// Every is the number of steps between checkpoints, in addition to one after each epoch. 0:
	// only those after epochs.
	Every int

	// KeepLast is the number of checkpoints that are kept in addition to that at Path. The
	// checkpoint after N steps is at Path + ".stepN". 0: none.
	KeepLast int

	// Best is the metric that selects the best epoch, the first of equal ones, whose checkpoint is
	// kept at [CheckpointOptions.BestPath]. It is one of Trainer.Metrics. Nil: the best epoch is
	// not kept.
	Best metric.Metric

	// AllowOtherBackend permits a resume on another backend or instruction set than that of the
	// checkpoint. Their sums round differently, so the network is not bit-equal to that of an
	// uninterrupted training. Info.Versions["backend"] lists all of them. False: such a resume is
	// the error [ErrOtherBackend].
	AllowOtherBackend bool
}

// BestPath returns the file of the checkpoint of the best epoch.
func (c CheckpointOptions) BestPath() string { return c.Path + ".best" }

// check returns an error unless the options suit a training with these metrics and, if validated is
// true, a validation set.
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
	was, ok := best.Values[c.Best.String()]
	if !ok || math.IsNaN(was) { // chosen by another metric, before the training resumed
		return true
	}
	if c.Best.HigherIsBetter() {
		return value > was
	}
	return value < was
}

// stepPath returns the file of the checkpoint after a number of steps.
func (c CheckpointOptions) stepPath(step int) string { return fmt.Sprintf("%s.step%d", c.Path, step) }

// keepLast writes the checkpoint of this step and removes those that are too old. It removes no
// checkpoint of a later step, which a training that has resumed from an earlier one has not
// reached.
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

// kept returns the steps whose checkpoints are kept, in ascending order.
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

// interrupted saves a training that ends early by the error why, unless it has made no step since
// the last checkpoint or its weights are of no use.
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

// checkpoint writes the checkpoints that are due. Score selects the best one; it is nil except
// after a validation. The file that a resume reads is written last, so the other files are complete
// when it exists.
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
		Ints: map[string]int64{
			stateEpoch: int64(f.epoch), stateBatch: int64(f.batch),
			stateStep: int64(f.step), stateExamples: int64(f.examples),
		},
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
