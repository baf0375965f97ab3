// Package sdk is the door to cram: train a network once, compress it to any level afterwards, serve
// it small and fast in the same process.
//
//	t := sdk.Trainer{
//		Model:     models.ResNet20(10),
//		Estimator: optim.CrAMPlus(0.2, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9)),
//		Rule:      optim.SGD{Momentum: .9, WeightDecay: 5e-4},
//		Schedule:  optim.Cosine{Peak: .1, Warmup: 5},
//		Epochs:    200, Batch: 128, Seed: 10,
//	}
//	trained, err := t.Fit(ctx, train, validation)
//	small, err := sdk.Compress(ctx, trained, sdk.Calibration{Set: train}, compress.TopK(.5), compress.TopK(.9))
//	err = small.Save("net.cram")
//
// and, in a service that knows nothing of the model's code:
//
//	p, err := sdk.LoadSparse("net.cram", sdk.Level("topk:0.9"))
//	y, err := p.Predict(ctx, x)
//
// [LoadSparseFrom] and [LoadSparseFS] do the same with bytes that go:embed put into the program,
// and with file systems.
//
// Three interfaces are the whole of what one extends: [Model] (a network), [Compressor] (the
// paper's C) and [Backend] (a device). Training follows Peste et al., CrAM: A Compression-Aware
// Minimizer (ICLR 2023).
package sdk

import (
	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/nn"
)

// Model is a network; see package nn for how to write one in ten lines.
type Model = nn.Model

// Compressor maps weights to compressed weights; see package compress.
type Compressor = compress.Compressor

// Backend runs programs on a device; see package backends.
type Backend = backends.Backend
