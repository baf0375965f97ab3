package sdk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
)

// describe fills in what a network says about itself. A training resumes only from a checkpoint that says the same.
func (t Trainer) describe(train data.Set, batches int) Info {
	info := t.Info
	info.Recipe = strings.Join([]string{
		t.Estimator.String(), t.Rule.String(), t.Schedule.String(),
		fmt.Sprintf("%d epochs of %d batches of %d", t.Epochs, batches, t.Batch), fmt.Sprintf("augment %+v", t.Augment),
	}, "; ")
	info.Seed = t.Seed
	info.Versions = map[string]string{"cram": version(), "go": runtime.Version()}
	info.Input = Input{Shape: train.Shape(), Mean: t.Normalize.Mean, Std: t.Normalize.Std, Classes: train.Classes()}
	return info
}

// version returns the version of this module as it is built in, "devel" when the build does not know.
func version() string {
	const module = "github.com/compressaware/cram"
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append([]*debug.Module{&b.Main}, b.Deps...) {
			if m.Path == module && m.Version != "" {
				return m.Version
			}
		}
	}
	return "devel"
}

// Names in the state of a training in progress.
const (
	stateEpoch    = "epoch"
	stateBatch    = "batch"
	stateStep     = "step"
	stateExamples = "examples"
	stateLoss     = "loss"
)

// save writes the training's checkpoint, if it keeps one.
func (f *fit) save(ctx context.Context) error {
	if f.Checkpoint.Path == "" {
		return nil
	}
	net, err := f.network(ctx)
	if err != nil {
		return err
	}
	loss, err := graph.Scalar(graph.F64, f.lossSum)
	if err != nil {
		return err
	}
	state := &checkpoint.State{
		Ints:    map[string]int64{stateEpoch: int64(f.epoch), stateBatch: int64(f.batch), stateStep: int64(f.step), stateExamples: int64(f.examples)},
		Tensors: map[string]graph.Value{stateLoss: graph.DenseValue(loss)},
	}
	for name, s := range f.runner.slots {
		if s.Kind == graph.Moment {
			t, err := f.session.Get(ctx, name)
			if err != nil {
				return fmt.Errorf("sdk: checkpoint: %s: %w", name, err)
			}
			state.Tensors[name] = graph.DenseValue(t)
		}
	}
	file := net.file()
	file.State = state
	if err := checkpoint.Save(f.Checkpoint.Path, file); err != nil {
		return fmt.Errorf("sdk: checkpoint: %w", err)
	}
	return nil
}

// resume goes on from the training's checkpoint, if there is one.
func (f *fit) resume(ctx context.Context) error {
	if f.Checkpoint.Path == "" {
		return nil
	}
	r, err := checkpoint.Open(f.Checkpoint.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sdk: resume: %w", err)
	}
	defer r.Close()
	if err := f.restore(ctx, r); err != nil {
		return fmt.Errorf("sdk: resume from %s: %w", f.Checkpoint.Path, err)
	}
	return nil
}

func (f *fit) restore(ctx context.Context, r *checkpoint.Reader) error {
	if was, now := r.Meta(), f.info; !sameTraining(was, now) {
		return fmt.Errorf("it belongs to another training; remove it or choose another path\n  it:   %s\n  this: %s", summary(was), summary(now))
	}
	state, err := r.State()
	if err != nil {
		return err
	}
	if state == nil {
		return errors.New("it holds a finished network, not a training in progress")
	}
	l, err := r.Level(Dense)
	if err != nil {
		return err
	}
	position := position{
		epoch: int(state.Ints[stateEpoch]), batch: int(state.Ints[stateBatch]), step: int(state.Ints[stateStep]), examples: int(state.Ints[stateExamples]),
	}
	loss, err := state.Tensors[stateLoss].Decode()
	if err != nil {
		return err
	}
	position.lossSum = scalar(loss)
	delete(state.Tensors, stateLoss)
	for _, tensors := range []map[string]graph.Value{l.Tensors, state.Tensors} {
		for _, name := range slices.Sorted(maps.Keys(tensors)) {
			if err := f.session.Set(ctx, name, tensors[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	f.runner.restored(state.Tensors)
	f.drawer.skip(position.step)
	f.position = position
	return nil
}

// sameTraining reports whether two descriptions are of one training, by everything that changes its result.
func sameTraining(a, b Info) bool {
	return a.Model == b.Model && a.Recipe == b.Recipe && a.Data == b.Data && a.Seed == b.Seed &&
		slices.Equal(a.Input.Shape, b.Input.Shape) && slices.Equal(a.Input.Mean, b.Input.Mean) && slices.Equal(a.Input.Std, b.Input.Std)
}

func summary(i Info) string {
	return fmt.Sprintf("model %q, data %q, seed %d, %s, input %v", i.Model, i.Data, i.Seed, i.Recipe, i.Input.Shape)
}

// network reads the trained weights and statistics back.
func (f *fit) network(ctx context.Context) (*Network, error) {
	tensors := map[string]graph.Tensor{}
	for _, d := range slices.Concat(f.recipe.params, f.recipe.stats) {
		t, err := f.session.Get(ctx, d.Name)
		if err != nil {
			return nil, fmt.Errorf("sdk: %s: %w", d.Name, err)
		}
		tensors[d.Name] = t
	}
	return newNetwork(f.info, f.programs, tensors), nil
}
