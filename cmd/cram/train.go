package main

import (
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
	keep            int
	best            string
	anyBackend      bool
	data            dataFlags
	method          methodFlags
	rule            ruleFlags
	schedule        scheduleFlags
	backend         backendFlags
}

func (a *app) train() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train --model NAME --data NAME --epochs N --out FILE",
		Short: "Train a network once, so that it can be pruned afterwards",
		Long: `Train a network on the training split of a data set and write it, dense, to --out. After every epoch it is evaluated on
the test split; nothing is chosen by the result, except with --best.

Until the file is written, --out with ".part" appended holds the training in progress. After an interruption, the same
command goes on from there, and the file comes out the same to the byte. --keep keeps the last checkpoints too, as
".part.stepN". --best also writes the network of the best epoch, to --out with ".best" before its extension: the test
split has then been used to choose.`,
		Example: `  cram train --model resnet20 --data cifar10 --data-dir DIR --method cram+ --rho 0.2 --levels 0.5,0.7,0.9 \
      --epochs 8 --warmup 1 --batch 128 --lr 0.1 --weight-decay 5e-4 --seed 10 --out net.cram
  cram train --model small-cnn --data shapes --method sgd --epochs 6 --out sgd.cram
  cram train --model resnet20 --data cifar10 --init net.cram --freeze 'conv1.*,bn1.*' --epochs 2 --lr 0.01 --out tuned.cram`,
		Args: cobra.NoArgs,
		RunE: a.action(func(ctx context.Context, _ []string) error { return a.runTrain(ctx, f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.model, "model", "", "network: "+strings.Join(models.Names(), ", "))
	f.data.add(fs)
	fs.StringVar(&f.out, "out", "", "file to write")
	fs.IntVar(&f.epochs, "epochs", 0, "passes over the training split")
	fs.IntVar(&f.batch, "batch", 128, "examples a step")
	fs.Uint64Var(&f.seed, "seed", 0, "of initial weights, data order, augmentation and the draw of levels")
	f.method.add(fs)
	f.rule.add(fs)
	f.schedule.add(fs)
	fs.StringVar(&f.init, "init", "", "network to take the initial weights from")
	fs.StringSliceVar(&f.freeze, "freeze", nil, "parameters that stay as they are, by name; * stands for any run of characters")
	fs.IntVar(&f.limit, "limit", 0, "train on the first N examples only, for trials; 0 means all")
	fs.IntVar(&f.checkpointEvery, "checkpoint-every", 0, "steps between checkpoints; 0 means once an epoch")
	fs.IntVar(&f.keep, "keep", 0, "how many checkpoints to keep beside the newest")
	fs.StringVar(&f.best, "best", "", "also write the network of the best epoch, by accuracy or by loss on the test split")
	f.backend.add(fs)
	fs.BoolVar(&f.anyBackend, "any-backend", false, "go on from a checkpoint of another backend or instruction set; the file is then not that of an uninterrupted training")
	for _, name := range []string{"model", "data", "epochs", "out"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

// A trained says that a training is done.
type trained struct {
	File     string   `json:"file"`
	Best     string   `json:"best,omitempty"` // file of the best epoch
	Model    string   `json:"model"`
	Epochs   int      `json:"epochs"`
	Loss     *float64 `json:"loss,omitempty"`         // of the last epoch; missing when that was trained by an earlier command
	Accuracy *float64 `json:"val_accuracy,omitempty"` // likewise
}

func (r trained) text() string {
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
	if _, err := os.Stat(filepath.Dir(f.out)); err != nil { // now, not after hours of training
		return fmt.Errorf("--out %s: %w", f.out, err)
	}
	if t.Backend, err = f.backend.open(ctx); err != nil {
		return err
	}
	defer t.Backend.Close()
	if t.Init != nil {
		a.noteDenseWidened(f.init, t.Init)
	}
	if _, err := os.Stat(t.Checkpoint.Path); err == nil {
		a.note("going on from %s", t.Checkpoint.Path)
	}
	show := progress.New(a.stderr)
	defer show.Close()
	result := trained{File: f.out, Model: f.model, Epochs: f.epochs}
	t.OnStep = show.Step
	t.OnEpoch = func(e sdk.Epoch) error {
		show.Epoch(e)
		result.Loss, result.Accuracy = &e.Loss, &e.Validation.Accuracy
		if a.json {
			return a.print(newEpochResult(e))
		}
		return nil
	}
	net, err := t.Fit(ctx, train, test)
	if err != nil {
		if _, missing := os.Stat(t.Checkpoint.Path); missing == nil && ctx.Err() != nil {
			return fmt.Errorf("%w; the same command goes on from %s", err, t.Checkpoint.Path)
		}
		if errors.Is(err, sdk.ErrOtherBackend) {
			return fmt.Errorf("%w; --any-backend does that here", err)
		}
		return err
	}
	if err := net.Save(f.out); err != nil {
		return err
	}
	if f.best != "" {
		result.Best = strings.TrimSuffix(f.out, filepath.Ext(f.out)) + ".best" + filepath.Ext(f.out)
		best, err := sdk.Open(t.Checkpoint.BestPath())
		if err != nil {
			return err
		}
		if err := best.Save(result.Best); err != nil {
			return err
		}
	}
	if err := os.Remove(t.Checkpoint.Path); err != nil {
		return err
	}
	if f.best != "" {
		if err := os.Remove(t.Checkpoint.BestPath()); err != nil {
			return err
		}
	}
	show.Close()
	return a.print(result)
}

// trainer returns the training that the flags describe and the splits it is for.
func (f trainFlags) trainer() (t sdk.Trainer, train, test data.Set, err error) {
	fail := func(err error) (sdk.Trainer, data.Set, data.Set, error) { return sdk.Trainer{}, nil, nil, err }
	if f.epochs < 1 || f.batch < 1 || f.checkpointEvery < 0 || f.keep < 0 {
		return fail(usagef("--epochs is %d, --batch %d, --checkpoint-every %d, --keep %d: want at least 1, 1, 0 and 0", f.epochs, f.batch, f.checkpointEvery, f.keep))
	}
	set, err := f.data.open()
	if err != nil {
		return fail(err)
	}
	t = sdk.Trainer{
		Epochs: f.epochs, Batch: f.batch, Seed: f.seed,
		Augment: set.Augment, Normalize: set.Normalize,
		Checkpoint: sdk.CheckpointOptions{Path: f.out + ".part", Every: f.checkpointEvery, KeepLast: f.keep, AllowOtherBackend: f.anyBackend},
		Info:       sdk.Info{Model: f.model},
	}
	switch f.best {
	case "":
	case "accuracy":
		t.Checkpoint.Best = sdk.Accuracy
	case "loss":
		t.Checkpoint.Best = sdk.LowLoss
	default:
		return fail(usagef("unknown --best %q: want accuracy or loss", f.best))
	}
	if t.Method, err = f.method.estimator(); err != nil {
		return fail(err)
	}
	if t.Optimizer, err = f.rule.rule(); err != nil {
		return fail(err)
	}
	if _, err := f.schedule.schedule(1); err != nil {
		return fail(err)
	}
	if train, test, err = set.splits(f.limit); err != nil {
		return fail(err)
	}
	t.Info.Data = set.describe(train, f.limit)
	if t.Schedule, err = f.schedule.schedule((train.Len() + f.batch - 1) / f.batch); err != nil {
		return fail(err)
	}
	if t.Model, _, err = models.New(f.model, len(train.Classes())); err != nil {
		return fail(usageError{err})
	}
	if f.init != "" {
		if t.Init, err = sdk.Open(f.init); err != nil {
			return fail(err)
		}
	}
	if err := f.freezing(&t, train.Shape()); err != nil {
		return fail(err)
	}
	return t, train, test, nil
}

// freezing makes --freeze a function of the trainer. A pattern that matches no parameter is an error.
func (f trainFlags) freezing(t *sdk.Trainer, example []int) error {
	if len(f.freeze) == 0 {
		return nil
	}
	decls, _, err := nn.Declare(t.Model, graph.Batch(example...))
	if err != nil {
		return err
	}
	for _, pattern := range f.freeze {
		matches := func(d nn.Decl) bool {
			ok, matchErr := path.Match(pattern, d.Name)
			err = errors.Join(err, matchErr)
			return ok && d.Kind == graph.Param
		}
		if !slices.ContainsFunc(decls, matches) {
			return usagef("--freeze %s matches no parameter of %s", pattern, f.model)
		}
		if err != nil {
			return usagef("--freeze %s: %w", pattern, err)
		}
	}
	t.Freeze = func(name string) bool {
		return slices.ContainsFunc(f.freeze, func(pattern string) bool {
			ok, _ := path.Match(pattern, name)
			return ok
		})
	}
	return nil
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
	return epochResult{e.Epoch + 1, e.Epochs, e.LR, e.Loss, e.Validation.Accuracy, e.Validation.Loss}
}

func (r epochResult) text() string {
	return fmt.Sprintf("epoch %d/%d: loss %.4f", r.Epoch, r.Epochs, r.Loss)
}
