package main

import (
	"github.com/spf13/pflag"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/optim"
)

// methodFlags say at which points the gradient is taken.
type methodFlags struct {
	name           string
	rho            float64
	levels         levels
	refresh        int
	denseGradients bool
	normalize      bool
	set            *pflag.FlagSet
}

func (f *methodFlags) add(fs *pflag.FlagSet) {
	f.set = fs
	f.levels.list = []compress.Compressor{compress.TopK(.5), compress.TopK(.7), compress.TopK(.9)}
	fs.StringVar(&f.name, "method", "cram+", "where the gradient is taken: sgd (at the weights alone, whatever --optimizer is), sam, cram or cram+")
	fs.Float64Var(&f.rho, "rho", 0.05, "length ρ of the ascent step of sam, cram and cram+; the CrAM paper has 0.2 on CIFAR-10, 0.05 on ImageNet; 0 is no ascent")
	fs.Var(&f.levels, "levels", "levels that cram and cram+ draw from, one each step: sparsities (0.5,0.9) or compressors ("+compress.Syntax+" or "+pluginForm+")")
	fs.IntVar(&f.refresh, "refresh", 1, "recompute a level's masks at every n-th use of it")
	fs.BoolVar(&f.denseGradients, "dense-gradients", false, "do not mask the gradient at the compressed point")
	fs.BoolVar(&f.normalize, "normalize-ascent", false, "divide the ascent of cram and cram+ by the gradient's norm, as sam does")
}

func (f *methodFlags) estimator() (optim.Method, error) {
	compressing := f.name == "cram" || f.name == "cram+"
	if err := onlyWith(f.set, compressing, "--method cram or cram+", "levels", "refresh", "dense-gradients", "normalize-ascent"); err != nil {
		return optim.Method{}, err
	}
	if err := onlyWith(f.set, compressing || f.name == "sam", "--method sam, cram or cram+", "rho"); err != nil {
		return optim.Method{}, err
	}
	var e optim.Method
	switch f.name {
	case "sgd":
		return optim.Plain(), nil
	case "sam":
		return optim.SAM(f.rho), nil
	case "cram":
		e = optim.CrAM(f.rho, f.levels.list...)
	case "cram+":
		e = optim.CrAMPlus(f.rho, f.levels.list...)
	default:
		return e, usagef("unknown --method %q: want sgd, sam, cram or cram+", f.name)
	}
	if f.refresh < 1 {
		return e, usagef("--refresh is %d, must be 1 or more", f.refresh)
	}
	p := &e.Points[1]
	p.Move = optim.Ascend{Rho: f.rho, Normalize: f.normalize}
	p.Refresh, p.DenseGradient = f.refresh, f.denseGradients
	return e, nil
}

// onlyWith returns an error if one of the named flags was given although what it belongs to was not.
func onlyWith(fs *pflag.FlagSet, fits bool, with string, flags ...string) error {
	for _, name := range flags {
		if !fits && fs.Changed(name) {
			return usagef("--%s goes with %s only", name, with)
		}
	}
	return nil
}
