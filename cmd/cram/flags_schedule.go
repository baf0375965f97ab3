package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/compressaware/cram/sdk/optim"
)

// scheduleFlags select the learning rate of each step.
type scheduleFlags struct {
	name       string
	lr         float64
	warmup     int
	milestones []int
	gamma      float64
	set        *pflag.FlagSet
}

func (f *scheduleFlags) add(fs *pflag.FlagSet) {
	f.set = fs
	fs.StringVar(&f.name, "schedule", "cosine",
		"`SCHEDULE` of the learning rate: cosine (falls after each epoch), multistep, linear (falls after each step) or constant")
	fs.Float64Var(&f.lr, "lr", 0.1, "peak learning rate")
	fs.IntVar(&f.warmup, "warmup", 0, "epochs at the beginning in which the learning rate rises linearly (cosine, linear)")
	fs.IntSliceVar(&f.milestones, "milestones", nil, "`EPOCHS` at which multistep multiplies the learning rate by --gamma, counted from 0")
	fs.Float64Var(&f.gamma, "gamma", 0.1, "factor of multistep")
}

// check returns a usage error unless the flags describe a schedule for a training of epochs.
func (f *scheduleFlags) check(epochs int) error {
	if err := cmp.Or(
		oneOf("schedule", f.name, "cosine", "multistep", "linear", "constant"),
		appliesTo(f.set, f.name == "multistep", "--schedule multistep", "milestones", "gamma"),
		appliesTo(f.set, f.name == "cosine" || f.name == "linear", "--schedule cosine or linear", "warmup"),
		requireFlag(positive(f.lr), "lr", "a number above 0", f.lr),
		requireFlag(f.warmup >= 0 && f.warmup <= epochs, "warmup", fmt.Sprintf("0 to %d, the value of --epochs", epochs), f.warmup),
		requireFlag(nonNegative(f.gamma), "gamma", "0 or more", f.gamma),
	); err != nil {
		return err
	}
	if f.name == "multistep" && len(f.milestones) == 0 {
		return usagef("--schedule multistep needs --milestones, for example --milestones 100,150")
	}
	for _, epoch := range f.milestones {
		if err := atLeast(0, "milestones", epoch); err != nil {
			return err
		}
	}
	return nil
}

// schedule returns the schedule for epochs of the given number of steps. The flags must have passed
// [scheduleFlags.check].
func (f *scheduleFlags) schedule(stepsPerEpoch int) optim.Schedule {
	switch f.name {
	case "multistep":
		return optim.MultiStep{Base: f.lr, Milestones: f.milestones, Gamma: f.gamma}
	case "linear":
		return optim.Linear{Peak: f.lr, WarmupSteps: f.warmup * stepsPerEpoch}
	case "constant":
		return optim.Constant(f.lr)
	}
	return optim.Cosine{Peak: f.lr, WarmupEpochs: f.warmup}
}
