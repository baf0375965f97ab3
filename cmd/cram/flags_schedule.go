package main

import (
	"github.com/spf13/pflag"

	"github.com/compressaware/cram/sdk/optim"
)

// scheduleFlags give the learning rate of every step.
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
	fs.StringVar(&f.name, "schedule", "cosine", "course of the learning rate: cosine (falls once an epoch), multistep, linear (falls every step) or constant")
	fs.Float64Var(&f.lr, "lr", 0.1, "peak learning rate")
	fs.IntVar(&f.warmup, "warmup", 0, "epochs in which the learning rate rises linearly (cosine, linear)")
	fs.IntSliceVar(&f.milestones, "milestones", nil, "epochs at which multistep multiplies the learning rate by --gamma, counting from 0")
	fs.Float64Var(&f.gamma, "gamma", 0.1, "factor of multistep")
}

// schedule returns the schedule for epochs of the given number of steps.
func (f *scheduleFlags) schedule(stepsPerEpoch int) (optim.Schedule, error) {
	if err := onlyWith(f.set, f.name == "multistep", "--schedule multistep", "milestones", "gamma"); err != nil {
		return nil, err
	}
	if err := onlyWith(f.set, f.name == "cosine" || f.name == "linear", "--schedule cosine or linear", "warmup"); err != nil {
		return nil, err
	}
	if f.lr <= 0 {
		return nil, usagef("--lr is %g, must be above 0", f.lr)
	}
	if f.warmup < 0 {
		return nil, usagef("--warmup is %d, must be 0 or more", f.warmup)
	}
	switch f.name {
	case "cosine":
		return optim.Cosine{Peak: f.lr, Warmup: f.warmup}, nil
	case "multistep":
		if len(f.milestones) == 0 {
			return nil, usagef("--schedule multistep needs --milestones, for example --milestones 100,150")
		}
		return optim.MultiStep{Base: f.lr, Milestones: f.milestones, Gamma: f.gamma}, nil
	case "linear":
		return optim.Linear{Peak: f.lr, Warmup: f.warmup * stepsPerEpoch}, nil
	case "constant":
		return optim.Constant(f.lr), nil
	}
	return nil, usagef("unknown --schedule %q: want cosine, multistep, linear or constant", f.name)
}
