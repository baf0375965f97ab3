package sdk

import (
	"context"
	"errors"
	"log/slog"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
)

// A Trainer trains a model once, so that [Compress] can prune it to any level afterwards. Model, Epochs and Batch are
// required; the zero value of every other field has a documented meaning. A Trainer is a value: Fit does not change it.
//
// Equal fields, data and seed give bit-equal results on the same backend, whatever the number of threads and however
// often the training was interrupted.
type Trainer struct {
	Model     nn.Model
	Loss      nn.Loss         // nil: nn.CrossEntropy
	Method    optim.Method    // zero: optim.Plain()
	Optimizer optim.Optimizer // nil: optim.SGD{Momentum: 0.9}
	Schedule  optim.Schedule  // nil: optim.Cosine{Peak: 0.1}
	Epochs    int
	Batch     int    // examples a step; the last batch of an epoch may be smaller
	Seed      uint64 // of initial weights, data order, augmentation, dropout and the draw of compressors

	Augment   []data.Transform       // applied to training examples, in the data set's raw unit
	Normalize data.Normalize         // becomes part of the trained programs; zero: none
	Init      *Network               // initial weights and statistics; nil: the model's initialisation
	Freeze    func(name string) bool // parameters that stay as they are; nil: none

	Backend    backends.Backend // nil: backends/cpu on all cores
	Checkpoint CheckpointOptions
	OnStep     func(Step) error  // called after each step; an error ends the training with it
	OnEpoch    func(Epoch) error // called after each epoch; an error ends the training with it
	Log        *slog.Logger      // told of each epoch, and of a checkpoint that the training goes on from; nil: silent
	Info       Info              // what the network shall say about itself; Fit fills in Recipe, Seed, Versions and Input
}

// CheckpointOptions says where a training that is interrupted goes on from, and which checkpoints are kept beside that. When Path exists, Fit
// resumes from it, and refuses one written by another recipe, or on another backend or instruction set.
type CheckpointOptions struct {
	Path     string              // of the newest checkpoint; "": none
	Every    int                 // steps between checkpoints; 0: once an epoch
	KeepLast int                 // how many checkpoints to keep as well, each at "Path.stepN" after N steps; 0: the one at Path alone
	Best     func(Score) float64 // of the epochs' validation, Accuracy or LowLoss or your own: the first largest is kept at BestPath; nil: none

	// AnyBackend resumes from a checkpoint of another backend or instruction set, whose sums round otherwise: the network is
	// then no longer bit-equal to that of an uninterrupted training. Info.Versions["backend"] lists what it was trained on.
	AllowOtherBackend bool
}

// A Step is what a Trainer tells after each step. Steps and epochs count from 0.
type Step struct {
	optim.Progress
	LR         float64
	Loss       float64 // at the weights before the step
	Examples   int     // in this batch
	Compressor string  // what was drawn, "" for none
}

// An Epoch is what a Trainer tells after each epoch.
type Epoch struct {
	Epoch, Epochs int
	LR            float64
	Loss          float64 // mean over the epoch's steps, weighted by examples
	Validation    *Score  // nil without a validation set
}

// ErrDiverged is what the error of a training wraps whose loss is no longer a finite number.
var ErrDiverged = errors.New("the training diverged")

// Fit trains on train and, when validation is not nil, evaluates on it after every epoch. It ends early with the error of
// the context, a callback, a data set or a compressor, and then checkpoints what it has reached first, so that the same
// call goes on from there; only a loss that is not finite ([ErrDiverged]) leaves the checkpoint before it. A finished
// training leaves its checkpoint, so that nothing is lost before the network is saved: remove the file then.
func (t Trainer) Fit(ctx context.Context, train, validation data.Set) (*Network, error) {
	f, err := t.prepare(ctx, train, validation)
	if err != nil {
		return nil, err
	}
	net, err := f.run(ctx)
	return net, errors.Join(err, f.close())
}

func (f *fit) run(ctx context.Context) (*Network, error) {
	if err := f.resume(ctx); err != nil {
		return nil, err
	}
	for f.epoch < f.Epochs {
		if err := f.runEpoch(ctx); err != nil {
			return nil, errors.Join(err, f.interrupted(ctx, err))
		}
	}
	return f.network(ctx)
}

// interrupted checkpoints a training that ends early, unless there is nothing new or the weights are no good.
func (f *fit) interrupted(ctx context.Context, why error) error {
	if f.Checkpoint.Path == "" || f.position == f.saved || errors.Is(why, ErrDiverged) || errors.Is(why, backends.ErrLost) {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	if f.due() {
		return f.checkpoint(ctx, nil)
	}
	file, err := f.file(ctx)
	if err != nil {
		return err
	}
	return f.save(file)
}
