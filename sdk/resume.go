package sdk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// describe fills in what a network says about itself. A training resumes only from a checkpoint that says the same.
// Example is the shape of one example as the model sees it.
func (f *fit) describe(example []int) (Info, error) {
	recipe := []string{
		f.Method.String(), f.Optimizer.String(), f.Schedule.String(),
		fmt.Sprintf("%d epochs of %d batches of %d", f.Epochs, f.loader.Batches(), f.Batch),
	}
	for _, t := range f.Augment {
		recipe = append(recipe, fmt.Sprintf("augment %T%+v", t, t))
	}
	if frozen := f.recipe.frozen(); len(frozen) > 0 {
		recipe = append(recipe, "frozen "+strings.Join(frozen, " "))
	}
	if f.Init != nil {
		digest, err := f.Init.digest()
		if err != nil {
			return Info{}, fmt.Errorf("sdk: initial weights: %w", err)
		}
		recipe = append(recipe, "initial weights "+digest)
	}
	info := f.Info
	info.Recipe = strings.Join(recipe, "; ")
	info.Seed = f.Seed
	info.Versions = map[string]string{"cram": version(), "go": runtime.Version(), versionBackend: backendOf(f.device.Info())}
	info.Inputs = []Port{{Shape: graph.Batch(example...), Mean: f.Normalize.Mean, Std: f.Normalize.Std}}
	info.Outputs = []Port{{Classes: f.loader.Set.Classes()}}
	return f.programs.describe(info), nil
}

// frozen returns the names of the params that are not trained.
func (r *recipe) frozen() []string {
	var names []string
	for i, d := range r.params {
		if !slices.Contains(r.train, i) {
			names = append(names, d.Name)
		}
	}
	return names
}

// digest tells the dense weights of one network from those of another.
func (n *Network) digest() (string, error) {
	dense, err := n.level(Dense)
	if err != nil {
		return "", err
	}
	tensors, err := dense.decode()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		t := tensors[name]
		fmt.Fprintf(h, "%q %v%v\n", name, t.DType, t.Dims)
		h.Write(t.Data)
	}
	return fmt.Sprintf("%.8x", h.Sum(nil)), nil
}

// versionBackend is the entry of Info.Versions that says what a training's bits depend on beside its recipe.
const versionBackend = "backend"

// backendOf names a backend as far as it changes bits: its name, its instruction set or device, and the architecture, since portable code
// rounds otherwise where the compiler fuses multiplication and addition.
func backendOf(i backends.Info) string { return i.Name + " " + i.InstructionSet + " " + runtime.GOARCH }

// ErrOtherBackend is what the error of a resume wraps that would go on with another backend or instruction set.
var ErrOtherBackend = errors.New("it was trained on another backend or instruction set, whose sums round otherwise")

// sameBackend returns an error unless the checkpoint was last trained on this backend, or any will do: then it adds this one to the list.
func (f *fit) sameBackend(was Info) error {
	const then = ", then "
	list, now := was.Versions[versionBackend], f.info.Versions[versionBackend]
	switch {
	case list == now || strings.HasSuffix(list, then+now):
	case !f.Checkpoint.AllowOtherBackend:
		return fmt.Errorf("%w: it on %q, this on %q; go on where it began (CRAM_CPU names a lower instruction set of the same processor family), "+
			"or set Checkpointing.AnyBackend and give up being bit-equal to an uninterrupted training", ErrOtherBackend, list, now)
	default:
		list += then + now
	}
	f.info.Versions[versionBackend] = list
	return nil
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
	stateBest     = "best"
)

// checkpoint writes the checkpoint that is due, and score tells which is best. The one that a resume begins with comes last: what it says of
// the others is then true.
func (f *fit) checkpoint(ctx context.Context, score *Score) error {
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
			return fmt.Errorf("sdk: %w", err)
		}
	}
	if err := f.Checkpoint.keepLast(file, f.step); err != nil {
		return fmt.Errorf("sdk: %w", err)
	}
	return f.save(file)
}

// save writes the checkpoint that a resume begins with.
func (f *fit) save(file *checkpoint.File) error {
	if err := checkpoint.Save(f.Checkpoint.Path, file); err != nil {
		return fmt.Errorf("sdk: %w", err)
	}
	f.saved = f.position
	return nil
}

// file returns the training as it stands.
func (f *fit) file(ctx context.Context) (*checkpoint.File, error) {
	net, err := f.network(ctx)
	if err != nil {
		return nil, err
	}
	loss, err := array.Scalar(array.F64, f.lossSum)
	if err != nil {
		return nil, err
	}
	state := &checkpoint.State{
		Ints:    map[string]int64{stateEpoch: int64(f.epoch), stateBatch: int64(f.batch), stateStep: int64(f.step), stateExamples: int64(f.examples)},
		Tensors: map[string]array.Value{stateLoss: array.DenseValue(loss)},
	}
	for name, s := range f.runner.slots {
		if s.Kind == graph.OptimizerState {
			t, err := f.session.Get(ctx, name)
			if err != nil {
				return nil, fmt.Errorf("sdk: checkpoint: %s: %w", name, err)
			}
			state.Tensors[name] = array.DenseValue(t)
		}
	}
	if f.best != nil {
		if state.Tensors[stateBest], err = stateOf(*f.best); err != nil {
			return nil, err
		}
	}
	file := net.file()
	file.State = state
	return file, nil
}

// resume goes on from the training's checkpoint, if there is one.
func (f *fit) resume(ctx context.Context) error {
	if f.Checkpoint.Path == "" {
		return nil
	}
	r, err := checkpoint.Open(f.Checkpoint.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(f.Checkpoint.Path)); err != nil { // now, not after the first epoch
			return fmt.Errorf("sdk: folder of Trainer.Checkpoint.Path: %w", err)
		}
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
	if was, now := r.Info(), f.info; !sameTraining(was, now) {
		return fmt.Errorf("it belongs to another training; remove it or choose another path\n  it:   %s\n  this: %s", summary(was), summary(now))
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
		return errors.New("it holds a finished network, not a training in progress")
	}
	l, err := r.Level(Dense)
	if err != nil {
		return err
	}
	if err := matches(slices.Concat(f.recipe.params, f.recipe.stats), l.Tensors); err != nil {
		return err
	}
	position, err := f.positionOf(state)
	if err != nil {
		return err
	}
	var best *Score
	if v, ok := state.Tensors[stateBest]; ok {
		if best, err = scoreOf(v); err != nil {
			return fmt.Errorf("%s: %w", stateBest, err)
		}
	}
	delete(state.Tensors, stateLoss)
	delete(state.Tensors, stateBest)
	for _, tensors := range []map[string]array.Value{l.Tensors, state.Tensors} {
		for _, name := range slices.Sorted(maps.Keys(tensors)) {
			if err := f.session.Set(ctx, name, tensors[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	f.runner.restored(state.Tensors)
	f.drawer.skip(position.step)
	f.position, f.saved, f.best = position, position, best
	if f.Log != nil {
		f.Log.InfoContext(ctx, "resumed", "path", f.Checkpoint.Path, "epoch", f.epoch+1, "epochs", f.Epochs, "step", f.step)
	}
	return nil
}

// positionOf reads where the training stood, which must be a place that this training comes past.
func (f *fit) positionOf(state *checkpoint.State) (position, error) {
	p := position{epoch: int(state.Ints[stateEpoch]), batch: int(state.Ints[stateBatch]), step: int(state.Ints[stateStep]), examples: int(state.Ints[stateExamples])}
	batches := f.loader.Batches()
	if p.epoch < 0 || p.epoch > f.Epochs || p.batch < 0 || p.batch > batches || p.step != p.epoch*batches+p.batch || p.examples != min(p.batch*f.Batch, f.loader.Set.Len()) {
		return p, fmt.Errorf("it stands at epoch %d, batch %d, step %d after %d examples, which is no place of %d epochs of %d batches",
			p.epoch, p.batch, p.step, p.examples, f.Epochs, batches)
	}
	loss, err := state.Tensors[stateLoss].Decode()
	if err != nil {
		return p, fmt.Errorf("%s: %w", stateLoss, err)
	}
	if loss.DType != array.F64 || loss.Len() != 1 {
		return p, fmt.Errorf("%s: want one f64, got %v%v", stateLoss, loss.DType, loss.Dims)
	}
	p.lossSum = scalar(loss)
	return p, nil
}

// sameModel returns an error unless the checkpoint's inference program is this model's.
func (f *fit) sameModel(r *checkpoint.Reader) error {
	p, err := r.Program(programInfer)
	if err != nil {
		return err
	}
	was, now := strings.Split(p.String(), "\n"), strings.Split(f.programs.infer.String(), "\n")
	for i := range max(len(was), len(now)) {
		line := func(text []string) string { return strings.Join(text[min(i, len(text)):min(i+1, len(text))], "") }
		if line(was) != line(now) {
			return fmt.Errorf("it belongs to another model; remove it or choose another path\n  it, from instruction %d:   %s\n  this, from instruction %d: %s", i, line(was), i, line(now))
		}
	}
	return nil
}

// sameTraining reports whether two descriptions are of one training, by everything that changes its result.
func sameTraining(a, b Info) bool {
	return a.Model == b.Model && a.Recipe == b.Recipe && a.Data == b.Data && a.Seed == b.Seed && maps.Equal(a.Extra, b.Extra) &&
		slices.EqualFunc(a.Inputs, b.Inputs, func(p, q Port) bool {
			return p.Name == q.Name && p.DType == q.DType && p.Shape.Equal(q.Shape) && slices.Equal(p.Mean, q.Mean) && slices.Equal(p.Std, q.Std)
		})
}

func summary(i Info) string {
	return fmt.Sprintf("model %q, data %q, seed %d, %s, input %v, extra %v", i.Model, i.Data, i.Seed, i.Recipe, i.Input().Shape, i.Extra)
}

// network reads the trained weights and statistics back.
func (f *fit) network(ctx context.Context) (*Network, error) {
	tensors := map[string]array.Value{}
	for _, d := range slices.Concat(f.recipe.params, f.recipe.stats) {
		t, err := f.session.Get(ctx, d.Name)
		if err != nil {
			return nil, fmt.Errorf("sdk: %s: %w", d.Name, err)
		}
		tensors[d.Name] = array.DenseValue(t)
	}
	return newNetwork(f.info, f.programs, tensors), nil
}
