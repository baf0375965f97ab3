package main

import (
	"github.com/spf13/pflag"

	"github.com/compressaware/cram/sdk/optim"
)

// ruleFlags say what is done with the gradient.
type ruleFlags struct {
	name        string
	momentum    float64
	nesterov    bool
	weightDecay float64
	clip        float64
	set         *pflag.FlagSet
}

func (f *ruleFlags) add(fs *pflag.FlagSet) {
	f.set = fs
	fs.StringVar(&f.name, "optimizer", "sgd", "what is done with the gradient: sgd, adam or adamw")
	fs.Float64Var(&f.momentum, "momentum", 0.9, "momentum of sgd")
	fs.BoolVar(&f.nesterov, "nesterov", false, "Nesterov momentum for sgd")
	fs.Float64Var(&f.weightDecay, "weight-decay", 0, "weight decay; 5e-4 is customary for sgd on CIFAR-10")
	fs.Float64Var(&f.clip, "clip", 0, "largest norm of the whole gradient; 0 means no limit")
}

func (f *ruleFlags) rule() (optim.Optimizer, error) {
	if err := onlyWith(f.set, f.name == "sgd", "--optimizer sgd", "momentum", "nesterov"); err != nil {
		return nil, err
	}
	var rule optim.Optimizer
	switch f.name {
	case "sgd":
		rule = optim.SGD{Momentum: f.momentum, Nesterov: f.nesterov, WeightDecay: f.weightDecay}
	case "adam":
		rule = optim.Adam{WeightDecay: f.weightDecay}
	case "adamw":
		rule = optim.AdamW{WeightDecay: f.weightDecay}
	default:
		return nil, usagef("unknown --optimizer %q: want sgd, adam or adamw", f.name)
	}
	switch {
	case f.clip < 0:
		return nil, usagef("--clip is %g, must be 0 (no limit) or more", f.clip)
	case f.clip > 0:
		rule = optim.Clip{MaxNorm: f.clip, Optimizer: rule}
	}
	return rule, nil
}
