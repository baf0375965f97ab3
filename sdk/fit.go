package sdk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
)

// fit is a training in progress: what does not change first, then where it stands.
type fit struct {
	Trainer
	loader     data.Loader
	validation data.Set
	recipe     *recipe
	programs   programs
	info       Info
	device     device
	session    backends.Session
	runner     *runner
	infer      backends.Executable
	drawer     *drawer

	position
	saved position // what the checkpoint holds
	best  *Score   // of the checkpoint at BestPath; nil: there is none
}

// position is where a training stands, beside its slots.
type position struct {
	epoch, batch, step int
	lossSum            float64 // of this epoch, weighted by examples
	examples           int     // in this epoch so far
}

// prepare checks the fields, fills in defaults, and sets the session up with initial weights.
func (t Trainer) prepare(ctx context.Context, train, validation data.Set) (*fit, error) {
	if err := t.defaults(); err != nil {
		return nil, err
	}
	if err := t.Checkpoint.check(validation != nil); err != nil {
		return nil, err
	}
	f := &fit{Trainer: t, validation: validation}
	f.loader = data.Loader{Set: train, Batch: t.Batch, Transforms: t.Augment, Shuffle: true, Seed: t.Seed}
	example, err := f.loader.Shape()
	if err != nil {
		return nil, fmt.Errorf("sdk: training set: %w", err)
	}
	if err := fits(validation, example); err != nil {
		return nil, fmt.Errorf("sdk: validation set: %w", err)
	}
	if s, ok := t.Schedule.(interface{ Check(optim.Progress) error }); ok {
		if err := s.Check(optim.Progress{Epochs: t.Epochs, Steps: t.Epochs * f.loader.Batches()}); err != nil {
			return nil, fmt.Errorf("sdk: Trainer.Schedule: %w", err)
		}
	}
	if _, err := t.Normalize.Shape(example); len(t.Normalize.Mean) > 0 && err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	model := normalized{t.Model, t.Normalize.Mean, t.Normalize.Std}
	input := graph.Batch(example...)
	if f.recipe, err = newRecipe(t, model, input); err != nil {
		return nil, err
	}
	if f.programs, err = trace(model, input, f.recipe.stats); err != nil {
		return nil, err
	}
	if f.device, err = openDevice(t.Backend); err != nil {
		return nil, fmt.Errorf("sdk: Trainer.Backend: %w", err)
	}
	if f.info, err = f.describe(example); err != nil {
		return nil, errors.Join(err, f.close())
	}
	if err := f.open(ctx); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// fits returns an error unless a validation set, if there is one, has examples of the shape that the model is trained on.
func fits(validation data.Set, example []int) error {
	if validation == nil {
		return nil
	}
	shape, err := data.Loader{Set: validation, Batch: 1}.Shape()
	if err == nil && !slices.Equal(shape, example) {
		err = fmt.Errorf("want examples of shape %v, as the training set's after Augment, got %v", example, shape)
	}
	return err
}

// defaults replaces zero fields by what their comments say.
func (t *Trainer) defaults() error {
	switch {
	case t.Model == nil:
		return errors.New("sdk: Trainer.Model is nil: give it a network, for example models.ResNet20(10)")
	case t.Epochs < 1:
		return fmt.Errorf("sdk: Trainer.Epochs is %d, must be at least 1", t.Epochs)
	case t.Batch < 1:
		return fmt.Errorf("sdk: Trainer.Batch is %d, must be at least 1", t.Batch)
	}
	if t.Loss == nil {
		t.Loss = nn.CrossEntropy
	}
	if len(t.Method.Points) == 0 {
		t.Method = optim.Plain()
	}
	if t.Optimizer == nil {
		t.Optimizer = optim.SGD{Momentum: 0.9}
	}
	if t.Schedule == nil {
		t.Schedule = optim.Cosine{Peak: 0.1}
	}
	if err := t.Method.Check(); err != nil {
		return fmt.Errorf("sdk: Trainer.Method: %w", err)
	}
	if o, ok := t.Optimizer.(interface{ Check() error }); ok {
		if err := o.Check(); err != nil {
			return fmt.Errorf("sdk: Trainer.Optimizer: %w", err)
		}
	}
	return nil
}

func newRecipe(t Trainer, model nn.Model, input graph.Shape) (*recipe, error) {
	decls, _, err := nn.Declare(model, input)
	if err != nil {
		return nil, fmt.Errorf("sdk: model: %w", err)
	}
	r := &recipe{model: model, loss: t.Loss, input: input, method: t.Method, optimizer: t.Optimizer, float: array.F32}
	r.params, r.stats = split(decls)
	for i, d := range r.params {
		if t.Freeze == nil || !t.Freeze(d.Name) {
			r.train = append(r.train, i)
		}
	}
	if len(r.train) == 0 {
		return nil, errors.New("sdk: nothing to train: the model has no parameters, or Freeze accepts them all")
	}
	slots := make([]graph.Slot, len(r.params))
	for i, d := range r.params {
		slots[i] = d.Slot
	}
	r.metas = weightMetas(slots)
	return r, nil
}

// open makes the session and gives every parameter and statistic its initial value.
func (f *fit) open(ctx context.Context) error {
	var err error
	if f.session, err = f.device.NewSession(ctx); err != nil {
		return fmt.Errorf("sdk: %w", err)
	}
	decls := slices.Concat(f.recipe.params, f.recipe.stats)
	initial, err := nn.Initial(decls, f.Seed)
	if err != nil {
		return fmt.Errorf("sdk: %w", err)
	}
	if f.Init != nil {
		if initial, err = f.Init.initial(decls); err != nil {
			return fmt.Errorf("sdk: initial weights: %w", err)
		}
	}
	for _, d := range decls {
		if err := f.session.Set(ctx, d.Name, array.DenseValue(initial[d.Name])); err != nil {
			return fmt.Errorf("sdk: %s: %w", d.Name, err)
		}
	}
	if f.infer, err = f.session.Compile(ctx, f.programs.infer, backends.Options{}); err != nil {
		return fmt.Errorf("sdk: inference program: %w", err)
	}
	f.runner = newRunner(f.recipe, f.session)
	f.drawer = newDrawer(f.Method, f.Seed)
	return nil
}

func (f *fit) close() error {
	var err error
	if f.session != nil {
		err = f.session.Close()
	}
	return errors.Join(err, f.device.close())
}

// runEpoch trains from where the position is to the end of the epoch.
func (f *fit) runEpoch(ctx context.Context) error {
	for batch, err := range f.loader.Epoch(ctx, f.epoch, f.batch) {
		if err != nil {
			return fmt.Errorf("sdk: %w", err)
		}
		v := f.drawer.next()
		s := Step{
			Progress:   f.progress(f.step),
			Examples:   len(batch.Y),
			Compressor: v.describe(f.Method),
		}
		if s.LR = f.Schedule.LR(s.Progress); !(s.LR >= 0 && s.LR <= math.MaxFloat32) {
			return fmt.Errorf("sdk: epoch %d, step %d: schedule %v gives the learning rate %g, want a number of 0 or more", f.epoch, f.step, f.Schedule, s.LR)
		}
		if s.Loss, err = f.trainStep(ctx, v, batch, s.LR); err != nil {
			return fmt.Errorf("epoch %d, step %d: %w", f.epoch, f.step, err)
		}
		if math.IsNaN(s.Loss) || math.IsInf(s.Loss, 0) {
			return fmt.Errorf("sdk: epoch %d, step %d: %w: the loss is %v at learning rate %g; lower the rate, clip the gradient (optim.Clip), or look for NaN in the data",
				f.epoch, f.step, ErrDiverged, s.Loss, s.LR)
		}
		f.lossSum += s.Loss * float64(s.Examples)
		f.examples += s.Examples
		f.batch++
		f.step++
		if f.OnStep != nil {
			if err := f.OnStep(s); err != nil {
				return err
			}
		}
		if f.due() {
			if err := f.checkpoint(ctx, nil); err != nil {
				return err
			}
		}
	}
	return f.endEpoch(ctx)
}

// due reports whether a checkpoint is due after this step; the one after an epoch comes when that is validated.
func (f *fit) due() bool {
	every := f.Checkpoint.Every
	return every > 0 && f.step%every == 0 && f.batch > 0 && f.batch < f.loader.Batches()
}

// progress is what a schedule is told of a step of this epoch.
func (f *fit) progress(step int) optim.Progress {
	return optim.Progress{Epoch: f.epoch, Epochs: f.Epochs, Step: step, Steps: f.Epochs * f.loader.Batches()}
}

func (f *fit) trainStep(ctx context.Context, v variant, batch *data.Batch, lr float64) (float64, error) {
	x, err := array.FromF32(batch.X, batch.Shape...)
	if err != nil {
		return 0, err
	}
	y, err := array.FromI32(batch.Y)
	if err != nil {
		return 0, err
	}
	feed, err := f.recipe.feed(x, y, lr, f.step, f.Seed)
	if err != nil {
		return 0, err
	}
	return f.runner.run(ctx, v, feed)
}

// endEpoch validates, reports, and moves on to the next epoch.
func (f *fit) endEpoch(ctx context.Context) error {
	e := Epoch{Epoch: f.epoch, Epochs: f.Epochs, LR: f.Schedule.LR(f.progress(f.step - 1)), Loss: f.lossSum / float64(f.examples)}
	if f.validation != nil {
		score, err := evaluate(ctx, f.infer, f.validation, f.Batch)
		if err != nil {
			return fmt.Errorf("sdk: validation: %w", err)
		}
		e.Validation = &score
	}
	f.position = position{epoch: f.epoch + 1, step: f.step}
	if err := f.checkpoint(ctx, e.Validation); err != nil {
		return err
	}
	if f.Log != nil {
		f.Log.InfoContext(ctx, "epoch", e.attrs()...)
	}
	if f.OnEpoch != nil {
		return f.OnEpoch(e)
	}
	return nil
}

func (e Epoch) attrs() []any {
	attrs := []any{"epoch", e.Epoch + 1, "epochs", e.Epochs, "lr", e.LR, "loss", e.Loss}
	if e.Validation != nil {
		attrs = append(attrs, "val_accuracy", e.Validation.Accuracy, "val_loss", e.Validation.Loss)
	}
	return attrs
}

// feed names the tensors of one step: batch, learning rate, and the key of its random numbers.
func (r *recipe) feed(x, y array.Tensor, lr float64, step int, seed uint64) (map[string]array.Tensor, error) {
	rate, err := array.Scalar(r.float, lr)
	if err != nil {
		return nil, err
	}
	count, err := array.Scalar(r.float, float64(step+1))
	if err != nil {
		return nil, err
	}
	key, err := array.FromI64([]int64{int64(seed), int64(step)})
	if err != nil {
		return nil, err
	}
	return map[string]array.Tensor{inputX: x, inputY: y, inputLR: rate, inputStep: count, inputKey: key}, nil
}
