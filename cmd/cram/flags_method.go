package main

import (
	"cmp"

	"github.com/spf13/pflag"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/optim"
)

// methodFlags select the points at which a step computes gradients.
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
	fs.StringVar(&f.name, "method", "cram+", "`METHOD` of the training: sgd (one gradient, at the weights), sam, cram or cram+")
	fs.Float64Var(&f.rho, "rho", 0.05,
		"ρ: the factor of the gradient in the ascent of cram and cram+, or the length of the ascent of sam; "+
			"the CrAM paper uses 0.2 for CIFAR-10 and 0.05 for ImageNet")
	fs.Var(&f.levels, "levels", "`LEVELS` of cram and cram+, of which each step draws one: sparsities or compressors, as in cram compress --with")
	fs.IntVar(&f.refresh, "refresh", 1, "recompute the masks of a level at every n-th use of the level")
	fs.BoolVar(&f.denseGradients, "dense-gradients", false, "do not mask the gradient at the compressed point")
	fs.BoolVar(&f.normalize, "normalize-ascent", false, "divide the ascent of cram and cram+ by the norm of the gradient, as sam does")
}

// method returns the method that the flags describe. Plugins among the levels must be launched.
func (f *methodFlags) method() (optim.Method, error) {
	compressing := f.name == "cram" || f.name == "cram+"
	if err := cmp.Or(
		oneOf("method", f.name, "sgd", "sam", "cram", "cram+"),
		appliesTo(f.set, compressing, "--method cram or cram+", "levels", "refresh", "dense-gradients", "normalize-ascent"),
		appliesTo(f.set, compressing || f.name == "sam", "--method sam, cram or cram+", "rho"),
		requireFlag(nonNegative(f.rho), "rho", "0 or more", f.rho),
		atLeast(1, "refresh", f.refresh),
	); err != nil {
		return optim.Method{}, err
	}
	var m optim.Method
	switch f.name {
	case "sgd":
		return optim.Plain(), nil
	case "sam":
		return optim.SAM(f.rho), nil
	case "cram":
		m = optim.CrAM(f.rho, f.levels.list...)
	case "cram+":
		m = optim.CrAMPlus(f.rho, f.levels.list...)
	}
	p := &m.Points[1]
	p.Move = optim.Ascend{Rho: f.rho, Normalize: f.normalize}
	p.Refresh, p.DenseGradient = f.refresh, f.denseGradients
	return m, nil
}
