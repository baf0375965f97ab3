package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/metric"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
)

// A Trainer trains a model so that [Compress] can prune it to any level afterwards. Model, Epochs
// and Batch are required. Fit does not change the Trainer.
//
// Two trainings with equal fields and data have bit-equal results on the same backend, also with
// different numbers of threads, and also if one of them was interrupted and resumed.
type Trainer struct {
	// Model is the network to train.
	Model nn.Model

	// Loss is the function to minimize. Nil: nn.CrossEntropy{}, which needs a class index as the
	// main target.
	Loss nn.Loss

	// Method is the list of points at which a step computes gradients, for example
	// optim.CrAMPlus(0.2, compress.TopK(0.9)). Zero: optim.Plain(), one gradient at the weights.
	Method optim.Method

	// Optimizer computes the next weights from the gradient. Nil: optim.SGD{Momentum: 0.9}.
	Optimizer optim.Optimizer

	// Schedule is the learning rate of each step. Nil: optim.Cosine{Peak: 0.1}.
	Schedule optim.Schedule

	// Epochs is the number of passes over the training set, at least 1.
	Epochs int

	// Batch is the number of examples in a step, at least 1. The last batch of an epoch may be
	// smaller.
	Batch int

	// Seed determines initial weights, data order, augmentation, dropout and the draw of
	// compressors.
	Seed uint64

	// Augment transforms the main input of each training example, in order, on raw values. Nil:
	// none.
	Augment []data.Transform

	// Normalize is computed on the main input in the programs of the network, for training and for
	// inference. Zero: none.
	Normalize data.Normalize

	// Init is a network with initial weights and statistics for the model, those of its level
	// "dense". Nil: the model has its own initial values, which depend on Seed.
	Init *Network

	// Freeze reports whether the parameter of a name keeps its value. Nil: all are trained.
	Freeze func(name string) bool

	// Metrics are measured on the validation set. Nil: accuracy and cross-entropy if the main
	// target is a class index, otherwise the mean squared error. A validation set without targets
	// needs metrics.
	Metrics []metric.Metric

	// Backend runs the training. Fit does not close it. Nil: a CPU backend on all cores.
	Backend backends.Backend

	// Checkpoint states where and how often the training is saved. Zero: never.
	Checkpoint CheckpointOptions

	// OnStep is called after each step. Its error ends the training, and Fit returns it. Nil: no
	// call.
	OnStep func(Step) error

	// OnEpoch is called after each epoch. Its error ends the training, and Fit returns it. Nil: no
	// call.
	OnEpoch func(Epoch) error

	// Log receives a record after each epoch, and one when the training resumes from a checkpoint.
	// Nil: no log.
	Log *slog.Logger

	// Info is the description of the network. Fit replaces Recipe, Seed, Versions, Inputs and
	// Outputs. Zero: the network has no description but these.
	Info Info
}

// A Step describes a step to [Trainer].OnStep.
type Step struct {
	// Progress has the numbers of step and epoch, which count from 0.
	optim.Progress
	// LR is the learning rate.
	LR float64
	// Loss is the loss at the weights before the step.
	Loss float64
	// Examples is the number of examples in the batch.
	Examples int
	// Compressor is the text name of the compressor that was drawn; "" if there is none.
	Compressor string
}

// An Epoch describes an epoch to [Trainer].OnEpoch.
type Epoch struct {
	// Epoch is the number of the epoch, from 0, and Epochs the number of all.
	Epoch, Epochs int
	// LR is the learning rate of the last step.
	LR float64
	// Loss is the mean loss of the steps, weighted by their numbers of examples.
	Loss float64
	// Validation is the score on the validation set; nil if there is none.
	Validation *Score
}

// ErrDiverged is returned (wrapped) by [Trainer.Fit] when the loss of a step is NaN or infinite.
var ErrDiverged = errors.New("the training diverged")

// Fit trains on train and, if validation is not nil, evaluates on it after every epoch. The result
// has the level "dense".
//
// The training ends early with an error of the context, a callback, a data set, a compressor or the
// backend. If Checkpoint has a path, Fit then writes the checkpoint, and the same call resumes from
// it. After [ErrDiverged] and backends.ErrLost the weights are of no use, and the last checkpoint
// remains. The checkpoint of a finished training also remains: remove it after the network is
// saved.
func (t Trainer) Fit(ctx context.Context, train, validation data.Set) (*Network, error) {
	f, err := t.prepare(ctx, train, validation)
	if err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	net, err := f.run(ctx)
	if err := errors.Join(err, f.close()); err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	return net, nil
}
