package sdk

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
)

// describe returns the description of the network in training. A training resumes only from a
// checkpoint with the same description.
func (f *training) describe() (Info, error) {
	recipe := []string{
		f.Method.String(), f.Optimizer.String(), f.Schedule.String(), "loss " + f.Loss.String(),
		fmt.Sprintf("%s of %s of %d", count(f.Epochs, "epoch", "epochs"), count(f.loader.Batches(), "batch", "batches"), f.Batch),
	}
	for _, t := range f.Augment {
		recipe = append(recipe, fmt.Sprintf("augment %T%+v", t, t))
	}
	if frozen := f.recipe.Frozen(); len(frozen) > 0 {
		recipe = append(recipe, "frozen "+strings.Join(frozen, " "))
	}
	if f.Init != nil {
		l, err := f.Init.main()
		if err != nil {
			return Info{}, fmt.Errorf("initial weights: %w", err)
		}
		tensors, err := l.decode()
		if err != nil {
			return Info{}, fmt.Errorf("initial weights: %w", err)
		}
		recipe = append(recipe, "initial weights "+digest(tensors))
	} else if tensors := f.trained(); len(tensors) > 0 {
		recipe = append(recipe, "network "+digest(tensors))
	}
	info := f.Info
	info.Recipe = strings.Join(recipe, "; ")
	info.Seed = f.Seed
	info.Versions = map[string]string{"cram": version(), "go": runtime.Version(), versionBackend: backendOf(f.device.Info())}
	info.Inputs, info.Outputs = []Port{{Mean: f.Normalize.Mean, Std: f.Normalize.Std}}, []Port{{Classes: f.loader.Set.Classes()}}
	if net := networkOf(f.Model); net != nil {
		if info.Model == "" {
			info.Model = net.info.Model
		}
		if was := net.info.Input(); len(f.Normalize.Mean) == 0 {
			info.Inputs[0].Mean, info.Inputs[0].Std = was.Mean, was.Std
		}
	}
	return f.programs.describe(info), nil
}

// count returns "1 epoch" or "3 epochs".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// trained returns the initial values that the model has from networks: see [Network.Model].
func (f *training) trained() map[string]array.Tensor {
	tensors := map[string]array.Tensor{}
	for _, d := range slices.Concat(f.recipe.Params, f.recipe.Stats) {
		if !d.Initial.None() {
			tensors[d.Name] = d.Initial
		}
	}
	return tensors
}

// digest returns a text that identifies the weights that a training begins with.
func digest(tensors map[string]array.Tensor) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		t := tensors[name]
		fmt.Fprintf(h, "%q %v%v\n", name, t.DType, t.Dims)
		h.Write(t.Data)
	}
	return fmt.Sprintf("%.8x", h.Sum(nil))
}

// versionBackend is the entry of Info.Versions for the backends of a training. The bits of the
// result depend on them in addition to the recipe.
const versionBackend = "backend"

// backendOf names a backend as far as it changes bits: its name, its instruction set or device, and
// the architecture, since portable code rounds differently where the compiler fuses multiplication
// and addition.
func backendOf(i backends.Info) string {
	return i.Name + " " + i.InstructionSet + " " + runtime.GOARCH
}

// ErrOtherBackend is returned (wrapped) by [Trainer.Fit] when the checkpoint was written on another
// backend or instruction set and [CheckpointOptions].AllowOtherBackend is false.
var ErrOtherBackend = errors.New("the checkpoint is of another backend or instruction set, whose sums round differently")

// sameBackend returns an error unless the last backend of the checkpoint is that of this training
// or AllowOtherBackend is set. It sets the list of backends, with this one as the last.
func (f *training) sameBackend(was Info) error {
	const then = ", then "
	list, now := was.Versions[versionBackend], f.info.Versions[versionBackend]
	switch {
	case list == now || strings.HasSuffix(list, then+now):
	case !f.Checkpoint.AllowOtherBackend:
		return fmt.Errorf("%w: want %q, got %q; resume where it began (CRAM_CPU names a lower instruction set of the same processor family), "+
			"or set CheckpointOptions.AllowOtherBackend and give up bit equality with an uninterrupted training", ErrOtherBackend, list, now)
	default:
		list += then + now
	}
	f.info.Versions[versionBackend] = list
	return nil
}

// version returns the version of this module from the build information; "devel" if there is none.
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
