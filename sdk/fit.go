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
	"github.com/compressaware/cram/sdk/internal/step"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
)

// training is a training in progress. The fields before position do not change after prepare.
type training struct {
	Trainer
	loader     data.Loader
	validation data.Set
	recipe     *step.Recipe
	programs   programs
	info       Info
	device     device
	session    backends.Session
	runner     *step.Runner
	infer      backends.Executable
	drawer     *step.Drawer

	position
	saved position // of the newest checkpoint
	best  *Score   // of the checkpoint at BestPath; nil if there is none
}

// position is the number of steps that a training has made.
type position struct {
	epoch, batch, step int
	lossSum            float64 // of this epoch, weighted by examples
	examples           int     // in this epoch so far
}

// prepare checks the fields, fills in defaults, and opens the session with initial weights.
func (t Trainer) prepare(ctx context.Context, train, validation data.Set) (*training, error) {
	if err := t.defaults(); err != nil {
		return nil, err
	}
	f := &training{Trainer: t, validation: validation}
	f.loader = data.Loader{Set: train, Batch: t.Batch, Transforms: t.Augment, Shuffle: true, Seed: t.Seed}
	inputs, err := f.loader.Inputs()
	if err != nil {
		return nil, fmt.Errorf("training set: %w", err)
	}
	if err := f.checkTargets(); err != nil {
		return nil, err
	}
	if err := f.checkValidation(inputs); err != nil {
		return nil, err
	}
	if s, ok := t.Schedule.(interface{ Check(optim.Progress) error }); ok {
		if err := s.Check(optim.Progress{Epochs: t.Epochs, Steps: t.Epochs * f.loader.Batches()}); err != nil {
			return nil, fmt.Errorf("Trainer.Schedule: %w", err)
		}
	}
	if net := networkOf(t.Model); net != nil && len(net.info.Input().Mean) > 0 && len(t.Normalize.Mean) > 0 {
		return nil, errors.New("Trainer.Normalize: want none, because the network that is trained again normalizes its input itself")
	}
	if err := checkNormalize(t.Normalize, inputs[0]); err != nil {
		return nil, fmt.Errorf("Trainer.Normalize: %w", err)
	}
	f.recipe = &step.Recipe{
		Model: normalized{t.Model, t.Normalize.Mean, t.Normalize.Std}, Loss: t.Loss,
		Inputs: inputs, Targets: train.Targets(),
		Method: t.Method, Optimizer: t.Optimizer,
	}
	if err := f.recipe.Complete(t.Freeze); err != nil {
		return nil, err
	}
	if f.programs, err = trace(f.recipe.Model, inputs, f.recipe.Stats); err != nil {
		return nil, err
	}
	if err := f.checkClasses(); err != nil {
		return nil, err
	}
	if f.device, err = openDevice(t.Backend); err != nil {
		return nil, fmt.Errorf("Trainer.Backend: %w", err)
	}
	if f.info, err = f.describe(); err == nil {
		err = storable(f.info, f.programs)
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	if err := f.open(ctx); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// defaults checks the fields and replaces zero fields by the defaults in their comments.
func (t *Trainer) defaults() error {
	switch {
	case t.Model == nil:
		return errors.New("Trainer.Model: want a network, for example models.ResNet20(10), got nil")
	case t.Epochs < 1:
		return fmt.Errorf("Trainer.Epochs: want at least 1, got %d", t.Epochs)
	case t.Batch < 1:
		return fmt.Errorf("Trainer.Batch: want at least 1, got %d", t.Batch)
	}
	if t.Loss == nil {
		t.Loss = nn.CrossEntropy{}
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
		return fmt.Errorf("Trainer.Method: %w", err)
	}
	if o, ok := t.Optimizer.(interface{ Check() error }); ok {
		if err := o.Check(); err != nil {
			return fmt.Errorf("Trainer.Optimizer: %w", err)
		}
	}
	return nil
}

// checkTargets returns an error if the default loss does not suit the training set.
func (f *training) checkTargets() error {
	targets := f.loader.Set.Targets()
	if _, ok := f.Loss.(nn.CrossEntropy); ok {
		want := graph.Type{DType: array.I32}
		if len(targets) == 0 || !targets[0].Type.Equal(want) {
			return fmt.Errorf("Trainer.Loss: want a class index %v as the main target of %v, got the targets %q; set another loss, for example nn.MSE{}",
				want, f.Loss, describeFields(targets))
		}
	}
	return nil
}

// checkClasses returns an error unless the model has an output for each class that the training set
// names.
func (f *training) checkClasses() error {
	classes := len(f.loader.Set.Classes())
	out := f.programs.infer.Types[f.programs.infer.Outputs[0].ID]
	if n := len(out.Shape); classes > 0 && n > 0 && out.Shape[n-1] != (graph.Dim{C: classes}) {
		return fmt.Errorf("Trainer.Model: want an output for each of the %d classes of the training set, got %v", classes, out)
	}
	return nil
}

// checkValidation returns an error unless the validation set, if there is one, has the inputs of
// the training set. It sets the default metrics.
func (f *training) checkValidation(inputs []graph.Field) error {
	if f.validation != nil {
		got, err := data.Loader{Set: f.validation, Batch: 1}.Inputs()
		if err == nil {
			err = checkInputs(inputs, got)
		}
		if err != nil {
			return fmt.Errorf("validation set: %w", err)
		}
		if f.Metrics == nil {
			if f.Metrics, err = metricsFor(f.validation.Targets()); err != nil {
				return fmt.Errorf("Trainer.Metrics: validation set: %w", err)
			}
		}
	}
	if err := checkMetrics(f.Metrics); err != nil {
		return fmt.Errorf("Trainer.Metrics: %w", err)
	}
	return f.Checkpoint.check(f.validation != nil, f.Metrics)
}

// checkNormalize returns an error unless n is zero or suits the main input.
func checkNormalize(n data.Normalize, main graph.Field) error {
	if len(n.Mean) == 0 && len(n.Std) == 0 {
		return nil
	}
	dims, constant := main.Shape.Dims()
	if main.DType != array.F32 || !constant {
		return fmt.Errorf("want a main input f32 of constant shape, got %s %v", main.Name, main.Type)
	}
	_, err := n.Shape(dims)
	return err
}

// open opens the session and sets every parameter and statistic to its initial value.
func (f *training) open(ctx context.Context) error {
	var err error
	if f.session, err = f.device.NewSession(ctx); err != nil {
		return err
	}
	decls := slices.Concat(f.recipe.Params, f.recipe.Stats)
	initial, err := nn.Initial(decls, f.Seed)
	if err != nil {
		return err
	}
	if f.Init != nil {
		if initial, err = f.Init.initial(decls); err != nil {
			return fmt.Errorf("initial weights: %w", err)
		}
	}
	for _, d := range decls {
		if err := f.session.Set(ctx, d.Name, array.DenseValue(initial[d.Name])); err != nil {
			return fmt.Errorf("%s: %w", d.Name, err)
		}
	}
	if f.infer, err = f.session.Compile(ctx, f.programs.infer, backends.Options{}); err != nil {
		return fmt.Errorf("inference program: %w", err)
	}
	f.runner = step.NewRunner(f.recipe, f.session)
	f.drawer = step.NewDrawer(f.Method, f.Seed)
	return nil
}

// close closes the session and the backend that Fit has opened.
func (f *training) close() error {
	var err error
	if f.session != nil {
		err = f.session.Close()
	}
	return errors.Join(err, f.device.close())
}

// run resumes from the checkpoint, if there is one, and trains to the end.
func (f *training) run(ctx context.Context) (*Network, error) {
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

// runEpoch trains from the current position to the end of the epoch.
func (f *training) runEpoch(ctx context.Context) error {
	for batch, err := range f.loader.Epoch(ctx, f.epoch, f.batch) {
		if err != nil {
			return err
		}
		s, err := f.trainStep(ctx, batch)
		if err != nil {
			return fmt.Errorf("epoch %d, step %d: %w", f.epoch, f.step, err)
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

// trainStep trains on one batch.
func (f *training) trainStep(ctx context.Context, batch *data.Batch) (Step, error) {
	v := f.drawer.Next()
	s := Step{Progress: f.progress(f.step), Examples: batch.Len(), Compressor: v.Describe(f.Method)}
	if s.LR = f.Schedule.LR(s.Progress); !(s.LR >= 0 && s.LR <= math.MaxFloat32) {
		return s, fmt.Errorf("schedule %v: want a learning rate of 0 or more, got %g", f.Schedule, s.LR)
	}
	feed, err := f.recipe.Feed(batch.Inputs, batch.Targets, s.LR, f.step, f.Seed)
	if err != nil {
		return s, err
	}
	if s.Loss, err = f.runner.Run(ctx, v, feed); err != nil {
		return s, fmt.Errorf("training step: %w", err)
	}
	if math.IsNaN(s.Loss) || math.IsInf(s.Loss, 0) {
		return s, fmt.Errorf("%w: the loss is %v at learning rate %g; lower the rate, clip the gradient (optim.Clip), or look for NaN in the data",
			ErrDiverged, s.Loss, s.LR)
	}
	return s, nil
}

// progress returns the argument of the schedule for a step of this epoch.
func (f *training) progress(step int) optim.Progress {
	return optim.Progress{Epoch: f.epoch, Epochs: f.Epochs, Step: step, Steps: f.Epochs * f.loader.Batches()}
}

// endEpoch validates, reports, and advances to the next epoch.
func (f *training) endEpoch(ctx context.Context) error {
	e := Epoch{Epoch: f.epoch, Epochs: f.Epochs, LR: f.Schedule.LR(f.progress(f.step - 1)), Loss: f.lossSum / float64(f.examples)}
	if f.validation != nil {
		score, err := evaluate(ctx, f.infer, f.validation, f.Batch, f.Metrics)
		if err != nil {
			return fmt.Errorf("validation: %w", err)
		}
		e.Validation = &score
	}
	f.position = position{epoch: f.epoch + 1, step: f.step}
	if err := f.checkpoint(ctx, e.Validation); err != nil {
		return err
	}
	if f.Log != nil {
		f.Log.InfoContext(ctx, "epoch", f.attrs(e)...)
	}
	if f.OnEpoch != nil {
		return f.OnEpoch(e)
	}
	return nil
}

// attrs returns an epoch as attributes of a log record.
func (f *training) attrs(e Epoch) []any {
	attrs := []any{"epoch", e.Epoch + 1, "epochs", e.Epochs, "lr", e.LR, "loss", e.Loss}
	if e.Validation != nil {
		for _, m := range f.Metrics {
			attrs = append(attrs, "val_"+m.String(), e.Validation.Values[m.String()])
		}
	}
	return attrs
}

// network returns the weights and statistics of the session as a network.
func (f *training) network(ctx context.Context) (*Network, error) {
	tensors := map[string]array.Value{}
	for _, d := range slices.Concat(f.recipe.Params, f.recipe.Stats) {
		t, err := f.session.Get(ctx, d.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Name, err)
		}
		tensors[d.Name] = array.DenseValue(t)
	}
	return newNetwork(f.info, f.programs, tensors), nil
}
