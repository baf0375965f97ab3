package sdk

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
)

// Accuracy and LowLoss are for [CheckpointOptions.Best].
func Accuracy(s Score) float64 { return s.Accuracy }

// LowLoss makes the checkpoint of the lowest validation loss the best one.
func LowLoss(s Score) float64 { return -s.Loss }

// BestPath is where the best checkpoint is kept.
func (c CheckpointOptions) BestPath() string { return c.Path + ".best" }

func (c CheckpointOptions) check(validated bool) error {
	switch {
	case c.Every < 0:
		return fmt.Errorf("sdk: Trainer.Checkpoint.Every is %d, must be 0 or more", c.Every)
	case c.KeepLast < 0:
		return fmt.Errorf("sdk: Trainer.Checkpoint.Keep is %d, must be 0 or more", c.KeepLast)
	case c.Path == "" && (c.KeepLast > 0 || c.Best != nil):
		return fmt.Errorf("sdk: Trainer.Checkpoint keeps checkpoints but has no Path")
	case c.Best != nil && !validated:
		return fmt.Errorf("sdk: Trainer.Checkpoint.Best needs a validation set")
	}
	return nil
}

// better reports whether s beats the best score so far. A score that is no number beats nothing.
func (c CheckpointOptions) better(s, best *Score) bool {
	if c.Best == nil || s == nil {
		return false
	}
	value := c.Best(*s)
	return !math.IsNaN(value) && (best == nil || value > c.Best(*best))
}

// stepPath is where the checkpoint after so many steps is kept, beside Path.
func (c CheckpointOptions) stepPath(step int) string { return fmt.Sprintf("%s.step%d", c.Path, step) }

// keep writes the checkpoint of this step and removes those that are too old. A training that has gone back to an earlier checkpoint leaves
// later ones alone until it comes past them again.
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

// kept returns the steps whose checkpoints stand beside Path, ascending.
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

// stateOf and scoreOf put a score into the state of a training and take it out again.
func stateOf(s Score) (array.Value, error) {
	t, err := array.FromF64([]float64{s.Accuracy, s.Loss, float64(s.Examples)})
	return array.DenseValue(t), err
}

func scoreOf(v array.Value) (*Score, error) {
	t, err := v.Decode()
	if err != nil {
		return nil, err
	}
	if t.DType != array.F64 || t.Len() != 3 {
		return nil, fmt.Errorf("want three f64, got %v%v", t.DType, t.Dims)
	}
	return &Score{t.F64()[0], t.F64()[1], int(t.F64()[2])}, nil
}
