// Package sdk trains neural networks so that they can be pruned afterwards, prunes them, and serves
// them.
//
// The training is independent of the sparsity that is needed later:
//
//	trainer := sdk.Trainer{
//		Model:  models.SmallCNN(10),
//		Method: optim.CrAMPlus(0.05, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9)),
//		Epochs: 2,
//		Batch:  32,
//	}
//	trained, err := trainer.Fit(ctx, train, nil)
//
// Pruning is one-shot: no weight is trained after it. The file contains all levels:
//
//	calibration := sdk.Calibration{Set: train}
//	pruned, err := sdk.Compress(ctx, trained, calibration, compress.TopK(.5), compress.TopK(.9))
//	err = pruned.Save(path)
//
// A service reads one level of the file and needs no code of the model:
//
//	p, err := sdk.LoadSparse(ctx, path, sdk.PredictorOptions{Level: "topk:0.9"})
//	rows, err := p.Classify(ctx, images, 1)
//
// Pruning makes the file of a level smaller. The CPU backend decodes the weights when it loads them
// and computes with the zeros, so a pruned level takes as long as a dense one.
//
// # Extension
//
// Three interfaces can be implemented outside this module: [Model] is a network, [Compressor] a way
// to prune, [Backend] a device. Package plugins runs compressors and backends in other processes.
// The fields of [Trainer] have further interfaces: losses (package nn), optimizers and schedules
// (package optim), metrics (package metric), data sets and transforms (package data).
//
// # Further reading
//
// Package nn has the layers and nn/models the networks, package optim the training methods, package
// compress the compressors, package checkpoint the file. The [guide] describes a whole project.
//
// The method is CrAM of Peste et al., [CrAM: A Compression-Aware Minimizer] (ICLR 2023).
//
// [guide]: https://github.com/compressaware/cram/blob/main/docs/guide.md
// [CrAM: A Compression-Aware Minimizer]: https://arxiv.org/abs/2207.14200
package sdk

import (
	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/nn"
)

// Model is a network as code: a value with the method Forward. Package nn describes how to write
// one, package nn/models has ready ones.
type Model = nn.Model

// Compressor computes compressed weights from the weights of a network. Package compress has the
// built-in ones, and compress.Func makes one of a function.
type Compressor = compress.Compressor

// Backend runs programs on a device. Package backends/cpu is the default.
type Backend = backends.Backend
