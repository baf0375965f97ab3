package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/metric"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/progress"
)

type trainFlags struct {
	model           string
	out             string
	epochs, batch   int
	seed            uint64
	init            string
	freeze          []string
	limit           int
	checkpointEvery int
	keepLast        int
	best            string
	anyBackend      bool
	data            dataFlags
	method          methodFlags
	optimizer       optimizerFlags
	schedule        scheduleFlags
	backend         backendFlags
}

func (a *app) train() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train --model NAME --data NAME --epochs N --out FILE",
		Short: "Train a network that can be pruned afterwards",
		Long: `Train a network on the training split of a data set and write its dense level to --out. After
every epoch, the network is evaluated on the test split. The result of the evaluation has no
effect on the training; with --best it selects the epoch of a second file.

The default method is CrAM+ (https://arxiv.org/abs/2207.14200). Each step adds two gradients: one
at the weights, and one at the weights moved by --rho times the gradient and then pruned to a
random level of --levels.

Until the training ends, the file named by --out plus ".part" contains a checkpoint. After an
interruption, the same command resumes the training from it. The result has the same bytes as
that of a training without interruption.`,
		Example: `  cram train --model small-cnn --data shapes --epochs 6 --out net.cram
  cram train --model resnet20 --data cifar10 --data-dir DIR --rho 0.2 --levels 0.5,0.7,0.9 \
      --epochs 8 --warmup 1 --weight-decay 5e-4 --seed 10 --out net.cram
  cram train --model resnet20 --data cifar10 --data-dir DIR --init net.cram \
      --freeze 'conv1.*,bn1.*' --epochs 2 --lr 0.01 --out tuned.cram`,
		Args: cobra.NoArgs,
		RunE: a.action(func(ctx context.Context, _ []string) error { return a.runTrain(ctx, f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	addModel(fs, &f.model, "")
	f.data.add(fs)
	fs.StringVar(&f.out, "out", "", "`FILE` to write")
	fs.IntVar(&f.epochs, "epochs", 0, "passes over the training split")
	fs.IntVar(&f.batch, "batch", 128, "examples per step")
	fs.Uint64Var(&f.seed, "seed", 0, "seed of the initial weights, the order of the examples, the augmentation and the draw of levels")
	f.method.add(fs)
	f.optimizer.add(fs)
	f.schedule.add(fs)
	fs.StringVar(&f.init, "init", "", "`FILE` of a network whose dense level gives the initial weights")
	fs.StringSliceVar(&f.freeze, "freeze", nil, "`NAMES` of parameters that are not trained, such as 'layer1.*'")
	fs.IntVar(&f.limit, "limit", 0, "train on the first N examples only; 0 for all")
	fs.IntVar(&f.checkpointEvery, "checkpoint-every", 0, "steps between checkpoints; 0 for one checkpoint after each epoch")
	fs.IntVar(&f.keepLast, "keep-last", 0, "also keep the last N checkpoints, in files that end in .part.stepS for step S")
	fs.StringVar(&f.best, "best", "", "also write the network of the epoch with the best `METRIC` on the test split, accuracy or loss; for --out net.cram to net.best.cram")
	f.backend.add(fs)
	fs.BoolVar(&f.anyBackend, "any-backend", false, "resume from a checkpoint of another backend or instruction set; the result then has other bytes")
	for _, name := range []string{"model", "data", "epochs", "out"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

// A trainResult is the result of train.
type trainResult struct {
	File   string `json:"file"`
	Best   string `json:"best,omitempty"` // file of the best epoch
	Model  string `json:"model"`
	Epochs int    `json:"epochs"`

	// The values of the last epoch; missing if an earlier command has trained it.
	Loss     *float64 `json:"loss,omitempty"`
	Accuracy *float64 `json:"val_accuracy,omitempty"`
}

func (r trainResult) text() string {
	s := "wrote " + r.File
	if r.Accuracy != nil {
		s += fmt.Sprintf(": %.2f %% on the test split", 100**r.Accuracy)
	}
	if r.Best != "" {
		s += "\nwrote " + r.Best + ": the best epoch"
	}
	return s
}

func (a *app) runTrain(ctx context.Context, f trainFlags) error {
	if err := f.method.levels.launch(ctx); err != nil {
		return err
	}
	defer f.method.levels.close()
	t, train, test, err := f.trainer()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(f.out)); err != nil { // before hours of training
		return fmt.Errorf("--out %s: %w", f.out, err)
	}
	if t.Backend, err = f.backend.open(ctx); err != nil {
		return err
	}
	defer t.Backend.Close()
	if t.Init != nil {
		if err := a.noteWidened(f.init, sdk.Dense); err != nil {
			return err
		}
	}
	if _, err := os.Stat(t.Checkpoint.Path); err == nil {
		a.note("resuming from %s", t.Checkpoint.Path)
	}
	result := trainResult{File: f.out, Model: f.model, Epochs: f.epochs}
	net, err := a.fit(ctx, t, train, test, &result)
	if err != nil {
		return f.explain(ctx, t, err)
	}
	if err := f.save(t, net, &result); err != nil {
		return err
	}
	return a.print(result)
}

// fit trains, shows the progress and sets the values of the last epoch in result.
func (a *app) fit(ctx context.Context, t sdk.Trainer, train, test data.Set, result *trainResult) (*sdk.Network, error) {
	show := progress.New(a.stderr)
	defer show.Close()
	t.OnStep = show.Step
	t.OnEpoch = func(e sdk.Epoch) error {
		show.Epoch(e)
		accuracy := e.Validation.Values["accuracy"]
		result.Loss, result.Accuracy = &e.Loss, &accuracy
		if a.json {
			return a.print(newEpochResult(e))
		}
		return nil
	}
	return t.Fit(ctx, train, test)
}

// explain adds what the user can do to an error of the training.
func (f trainFlags) explain(ctx context.Context, t sdk.Trainer, err error) error {
	part := t.Checkpoint.Path
	if _, missing := os.Stat(part); missing == nil && ctx.Err() != nil {
		return errors.Join(err, errors.New("the same command resumes from "+part))
	}
	if errors.Is(err, sdk.ErrOtherBackend) {
		return fmt.Errorf("%s is a checkpoint of another backend or instruction set, which cram inspect %s shows: "+
			"train on that one, or give --any-backend and accept other bytes in the result", part, part)
	}
	return err
}

// save writes the network and that of the best epoch, and removes the checkpoints.
func (f trainFlags) save(t sdk.Trainer, net *sdk.Network, result *trainResult) error {
	if err := net.Save(f.out); err != nil {
		return err
	}
	if f.best == "" {
		return os.Remove(t.Checkpoint.Path)
	}
	ext := filepath.Ext(f.out)
	result.Best = strings.TrimSuffix(f.out, ext) + ".best" + ext
	best, err := sdk.Open(t.Checkpoint.BestPath())
	if err != nil {
		return err
	}
	if err := best.Save(result.Best); err != nil {
		return err
	}
	if err := os.Remove(t.Checkpoint.Path); err != nil {
		return err
	}
	return os.Remove(t.Checkpoint.BestPath())
}

// check returns a usage error unless the flags are in range.
func (f trainFlags) check() error {
	return cmp.Or(
		checkModel(f.model),
		atLeast(1, "epochs", f.epochs),
		atLeast(1, "batch", f.batch),
		atLeast(0, "checkpoint-every", f.checkpointEvery),
		atLeast(0, "keep-last", f.keepLast),
		oneOf("best", cmp.Or(f.best, "loss"), "accuracy", "loss"),
		f.schedule.check(f.epochs),
	)
}

// trainer returns the training that the flags describe, and its two splits.
func (f trainFlags) trainer() (t sdk.Trainer, train, test data.Set, err error) {
	fail := func(err error) (sdk.Trainer, data.Set, data.Set, error) { return sdk.Trainer{}, nil, nil, err }
	if err := f.check(); err != nil {
		return fail(err)
	}
	set, err := f.data.open()
	if err != nil {
		return fail(err)
	}
	t = sdk.Trainer{
		Epochs: f.epochs, Batch: f.batch, Seed: f.seed,
		Augment: set.Augment, Normalize: set.Normalize,
		Checkpoint: sdk.CheckpointOptions{
			Path: f.out + ".part", Every: f.checkpointEvery, KeepLast: f.keepLast, AllowOtherBackend: f.anyBackend,
			Best: map[string]metric.Metric{"accuracy": metric.Accuracy{}, "loss": metric.CrossEntropy{}}[f.best],
		},
		Info: sdk.Info{Model: f.model},
	}
	if t.Method, err = f.method.method(); err != nil {
		return fail(err)
	}
	if t.Optimizer, err = f.optimizer.optimizer(); err != nil {
		return fail(err)
	}
	if train, test, err = set.splits(f.limit); err != nil {
		return fail(err)
	}
	t.Info.Data = set.describe(train, f.limit)
	t.Schedule = f.schedule.schedule((train.Len() + f.batch - 1) / f.batch)
	if t.Model, _, err = models.New(f.model, len(train.Classes())); err != nil {
		return fail(err)
	}
	if f.init != "" {
		if t.Init, err = sdk.Open(f.init); err != nil {
			return fail(err)
		}
	}
	if t.Freeze, err = f.frozen(t.Model, train.Inputs()); err != nil {
		return fail(err)
	}
	return t, train, test, nil
}

// frozen returns the function for Trainer.Freeze, nil without --freeze. It is an error if a pattern
// matches no parameter of the model.
func (f trainFlags) frozen(model nn.Model, inputs []graph.Field) (func(name string) bool, error) {
	if len(f.freeze) == 0 {
		return nil, nil
	}
	decls, _, err := nn.Declare(model, inputs...)
	if err != nil {
		return nil, err
	}
	for _, pattern := range f.freeze {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, usagef("--freeze: want names with *, ? and [a-z], got %q", pattern)
		}
		if !slices.ContainsFunc(decls, func(d nn.Decl) bool { return d.Kind == graph.Param && matches(pattern, d.Name) }) {
			return nil, usagef("--freeze: want names of parameters of %s, got %q, which matches none", f.model, pattern)
		}
	}
	return func(name string) bool {
		return slices.ContainsFunc(f.freeze, func(pattern string) bool { return matches(pattern, name) })
	}, nil
}

func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}

// An epochResult is one epoch of a training as JSON.
type epochResult struct {
	Epoch       int     `json:"epoch"` // from 1
	Epochs      int     `json:"epochs"`
	LR          float64 `json:"lr"`
	Loss        float64 `json:"loss"`
	ValAccuracy float64 `json:"val_accuracy"`
	ValLoss     float64 `json:"val_loss"`
}

func newEpochResult(e sdk.Epoch) epochResult {
	return epochResult{e.Epoch + 1, e.Epochs, e.LR, e.Loss, e.Validation.Values["accuracy"], e.Validation.Values["cross_entropy"]}
}

func (r epochResult) text() string {
	return fmt.Sprintf("epoch %d/%d: loss %.4f", r.Epoch, r.Epochs, r.Loss)
}
