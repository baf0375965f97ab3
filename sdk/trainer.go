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

// A Trainer trains a model once, so that [Compress] can prune it to any level afterwards. Model,
// Epochs and Batch are required; the zero value of every other field has a documented meaning. A
// Trainer is a value: Fit does not change it.
//
// Equal fields, data and seed give bit-equal results on the same backend, whatever the number of
// threads and however often the training was interrupted.
type Trainer struct {
	// Model is the network to train.
	Model nn.Model

	// Loss is minimised. Nil: nn.CrossEntropy{}, which needs a class index as the main target.
	Loss nn.Loss

	// Method states where gradients are taken, for example optim.CrAMPlus(0.2, compress.TopK(0.9)).
	// Zero: optim.Plain(), one gradient at the weights.
	Method optim.Method

	// Optimizer turns the gradient into the next weights. Nil: optim.SGD{Momentum: 0.9}.
	Optimizer optim.Optimizer

	// Schedule is the learning rate over the training. Nil: optim.Cosine{Peak: 0.1}.
	Schedule optim.Schedule

	// Epochs is the number of passes over the training set, at least 1.
	Epochs int

	// Batch is the number of examples in a step, at least 1. The last batch of an epoch may be
	// smaller.
	Batch int

	// Seed determines initial weights, data order, augmentation, dropout and the draw of
	// compressors.
	Seed uint64

	// Augment transforms the main input of training examples, in the data set's raw unit.
	Augment []data.Transform

	// Normalize becomes part of the trained programs. Zero: none.
	Normalize data.Normalize

	// Init holds initial weights and statistics. Nil: the model's own initialisation.
	Init *Network

	// Freeze reports which parameters stay as they are, by name. Nil: none.
	Freeze func(name string) bool

	// Metrics are measured on the validation set. Nil: those that suit the main target, accuracy
	// and cross-entropy of a class index, otherwise the mean squared error.
	Metrics []metric.Metric

	// Backend runs the training and remains the caller's to close. Nil: a CPU backend on all cores.
	Backend backends.Backend

	// Checkpoint states where and how often the training is saved. Zero: never.
	Checkpoint CheckpointOptions

	// OnStep is called after each step. An error ends the training and is returned by Fit.
	OnStep func(Step) error

	// OnEpoch is called after each epoch. An error ends the training and is returned by Fit.
	OnEpoch func(Epoch) error

	// Log receives each epoch, and a checkpoint from which the training resumes. Nil: no log.
	Log *slog.Logger

	// Info becomes the description of the network. Fit fills in Recipe, Seed, Versions, Inputs and
	// Outputs.
	Info Info
}

// A Step describes a step to [Trainer].OnStep. Steps and epochs count from 0.
type Step struct {
	optim.Progress
	LR         float64 // learning rate
	Loss       float64 // at the weights before the step
	Examples   int     // in this batch
	Compressor string  // the compressor that was drawn; "" for none
}

// An Epoch describes an epoch to [Trainer].OnEpoch.
type Epoch struct {
	Epoch, Epochs int
	LR            float64 // learning rate of the last step
	Loss          float64 // mean over the epoch's steps, weighted by examples
	Validation    *Score  // nil without a validation set
}

// ErrDiverged is returned (wrapped) by Fit when the loss is NaN or infinite.
var ErrDiverged = errors.New("the training diverged")

// Fit trains on train and, if validation is not nil, evaluates on it after every epoch.
//
// It ends early with the error of the context, a callback, a data set or a compressor. It then
// saves the checkpoint first, so that the same call resumes from there; only after [ErrDiverged]
// the checkpoint before it remains. A finished training leaves its checkpoint, so that nothing is
// lost before the network is saved: remove the file then.
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
