package main

import (
	"cmp"

	"github.com/spf13/pflag"

	"github.com/compressaware/cram/sdk/optim"
)

// optimizerFlags select how a step changes the weights by the gradient of the method.
type optimizerFlags struct {
	name        string
	momentum    float64
	nesterov    bool
	weightDecay float64
	clip        float64
	set         *pflag.FlagSet
}

func (f *optimizerFlags) add(fs *pflag.FlagSet) {
	f.set = fs
	fs.StringVar(&f.name, "optimizer", "sgd", "`OPTIMIZER` to use: sgd, adam or adamw")
	fs.Float64Var(&f.momentum, "momentum", 0.9, "momentum of sgd, from 0 to below 1")
	fs.BoolVar(&f.nesterov, "nesterov", false, "use Nesterov momentum in sgd")
	fs.Float64Var(&f.weightDecay, "weight-decay", 0, "weight decay; 5e-4 is usual for sgd on CIFAR-10")
	fs.Float64Var(&f.clip, "clip", 0, "maximum norm of the gradient of all parameters together; 0 for no limit")
}

func (f *optimizerFlags) optimizer() (optim.Optimizer, error) {
	if err := cmp.Or(
		oneOf("optimizer", f.name, "sgd", "adam", "adamw"),
		appliesTo(f.set, f.name == "sgd", "--optimizer sgd", "momentum", "nesterov"),
		requireFlag(f.momentum >= 0 && f.momentum < 1, "momentum", "0 or more and below 1", f.momentum),
		requireFlag(!f.nesterov || f.momentum > 0, "momentum", "above 0 with --nesterov", f.momentum),
		requireFlag(nonNegative(f.weightDecay), "weight-decay", "0 or more", f.weightDecay),
		requireFlag(nonNegative(f.clip), "clip", "0 (no limit) or more", f.clip),
	); err != nil {
		return nil, err
	}
	var o optim.Optimizer
	switch f.name {
	case "sgd":
		o = optim.SGD{Momentum: f.momentum, Nesterov: f.nesterov, WeightDecay: f.weightDecay}
	case "adam":
		o = optim.Adam{WeightDecay: f.weightDecay}
	case "adamw":
		o = optim.AdamW{WeightDecay: f.weightDecay}
	}
	if f.clip > 0 {
		o = optim.Clip{MaxNorm: f.clip, Optimizer: o}
	}
	return o, nil
}
