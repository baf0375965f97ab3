package sdk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// resume restores the training from its checkpoint, if there is one.
func (f *training) resume(ctx context.Context) error {
	if f.Checkpoint.Path == "" {
		return nil
	}
	r, err := checkpoint.Open(f.Checkpoint.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(f.Checkpoint.Path)); err != nil { // before the first epoch is trained
			return fmt.Errorf("directory of Trainer.Checkpoint.Path: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	defer r.Close()
	if err := f.restore(ctx, r); err != nil {
		return fmt.Errorf("resume from %s: %w", f.Checkpoint.Path, err)
	}
	return nil
}

// restore checks that the checkpoint is one of this training and restores its state.
func (f *training) restore(ctx context.Context, r *checkpoint.Reader) error {
	if err := sameTraining(r.Info(), f.info); err != nil {
		return err
	}
	if err := f.sameModel(r); err != nil {
		return err
	}
	if err := f.sameBackend(r.Info()); err != nil {
		return err
	}
	state, err := r.State()
	if err != nil {
		return err
	}
	if state == nil {
		return errors.New("want a training in progress, got a finished network")
	}
	l, err := r.Level(Dense)
	if err != nil {
		return err
	}
	if err := matches(slices.Concat(f.recipe.Params, f.recipe.Stats), l.Tensors); err != nil {
		return err
	}
	position, err := f.positionOf(state)
	if err != nil {
		return err
	}
	best, err := bestOf(state)
	if err != nil {
		return err
	}
	delete(state.Tensors, stateLoss)
	for _, tensors := range []map[string]array.Value{l.Tensors, state.Tensors} {
		for _, name := range slices.Sorted(maps.Keys(tensors)) {
			if err := f.session.Set(ctx, name, tensors[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	f.runner.Restored(state.Tensors)
	f.drawer.Skip(position.step)
	f.position, f.saved, f.best = position, position, best
	if f.Log != nil {
		f.Log.InfoContext(ctx, "resumed", "path", f.Checkpoint.Path, "epoch", f.epoch+1, "epochs", f.Epochs, "step", f.step)
	}
	return nil
}

// positionOf returns the position in the state of a training. It is an error if this training does
// not have such a position.
func (f *training) positionOf(state *checkpoint.State) (position, error) {
	p := position{
		epoch: int(state.Ints[stateEpoch]), batch: int(state.Ints[stateBatch]),
		step: int(state.Ints[stateStep]), examples: int(state.Ints[stateExamples]),
	}
	batches := f.loader.Batches()
	if p.epoch < 0 || p.epoch > f.Epochs || p.batch < 0 || p.batch > batches ||
		p.step != p.epoch*batches+p.batch || p.examples != min(p.batch*f.Batch, f.loader.Set.Len()) {
		return p, fmt.Errorf("want a position within %d epochs of %d batches, got epoch %d, batch %d, step %d after %d examples",
			f.Epochs, batches, p.epoch, p.batch, p.step, p.examples)
	}
	var err error
	p.lossSum, err = number(state.Tensors, stateLoss)
	return p, err
}

// bestOf removes the score of the best checkpoint from the state of a training and returns it; nil
// if there is none.
func bestOf(state *checkpoint.State) (*Score, error) {
	n, ok := state.Ints[stateBestSize]
	if !ok {
		return nil, nil
	}
	s := &Score{Examples: int(n), Values: map[string]float64{}}
	for name := range state.Tensors {
		metric, ok := strings.CutPrefix(name, stateBest)
		if !ok {
			continue
		}
		var err error
		if s.Values[metric], err = number(state.Tensors, name); err != nil {
			return nil, err
		}
		delete(state.Tensors, name)
	}
	return s, nil
}

// number returns a float64 from the state of a training.
func number(tensors map[string]array.Value, name string) (float64, error) {
	t, err := tensors[name].Decode()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	if t.DType != array.F64 || t.Len() != 1 {
		return 0, fmt.Errorf("%s: want one f64, got %v%v", name, t.DType, t.Dims)
	}
	return t.F64()[0], nil
}

// sameModel returns an error unless the programs of the checkpoint are those of this model.
func (f *training) sameModel(r *checkpoint.Reader) error {
	for i, program := range []*graph.Program{f.programs.infer, f.programs.train} {
		name := []string{programInfer, programTrain}[i]
		p, err := r.Program(name)
		if err != nil {
			return err
		}
		if err := sameProgram(p, program); err != nil {
			return fmt.Errorf("it belongs to another model; remove it or choose another path: program %q: %w", name, err)
		}
	}
	return nil
}

func sameProgram(got, want *graph.Program) error {
	was, now := strings.Split(got.String(), "\n"), strings.Split(want.String(), "\n")
	for i := range max(len(was), len(now)) {
		line := func(text []string) string {
			return strings.Join(text[min(i, len(text)):min(i+1, len(text))], "")
		}
		if line(was) != line(now) {
			return fmt.Errorf("want instruction %d to be %q, got %q", i, line(now), line(was))
		}
	}
	return nil
}

// sameTraining returns an error unless two descriptions agree in everything that changes the result
// of a training. The error states the first difference.
func sameTraining(was, now Info) error {
	differ := func(what string, a, b any) error {
		return fmt.Errorf("it belongs to another training; remove it or choose another path: want %s %v, got %v", what, b, a)
	}
	switch a, b := was.Input(), now.Input(); {
	case was.Model != now.Model:
		return differ("model", strconv.Quote(was.Model), strconv.Quote(now.Model))
	case was.Data != now.Data:
		return differ("data", strconv.Quote(was.Data), strconv.Quote(now.Data))
	case was.Seed != now.Seed:
		return differ("seed", was.Seed, now.Seed)
	case !maps.Equal(was.Extra, now.Extra):
		return differ("extra information", was.Extra, now.Extra)
	case !a.Shape.Equal(b.Shape):
		return differ("input shape", a.Shape, b.Shape)
	case !slices.Equal(a.Mean, b.Mean) || !slices.Equal(a.Std, b.Std):
		return differ("normalization", fmt.Sprint(a.Mean, a.Std), fmt.Sprint(b.Mean, b.Std))
	}
	theirs, ours := strings.Split(was.Recipe, "; "), strings.Split(now.Recipe, "; ")
	for i := range max(len(theirs), len(ours)) {
		part := func(parts []string) string { return strings.Join(parts[min(i, len(parts)):min(i+1, len(parts))], "") }
		if part(theirs) != part(ours) {
			return differ("recipe", fmt.Sprintf("%q", part(theirs)), fmt.Sprintf("%q", part(ours)))
		}
	}
	return nil
}
