package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/sdk"
	sparse "github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
)

type compressFlags struct {
	with    levels
	out     string
	data    dataFlags
	tune    sdk.Calibration
	backend backendFlags
}

func (a *app) compress() *cobra.Command {
	var f compressFlags
	cmd := &cobra.Command{
		Use:   "compress FILE --with LEVEL... --out FILE",
		Short: "Prune a trained network to one level or several",
		Long: `Prune a trained network one-shot and write one file that holds all the levels asked for. With --data, the batch-norm
statistics of each level are estimated anew on augmented training examples, which needs no labels and is what keeps the
accuracy of a pruned network; without it they stay those of the dense network.

Levels: ` + sparse.Syntax + `.
A bare number is the sparsity of topk; ` + pluginForm + ` is a compressor in a program of its own.`,
		Example: `  cram compress net.cram --with topk:0.9 --data cifar10 --data-dir DIR --out net90.cram
  cram compress net.cram --with dense,0.5,0.9 --with nm:2:4 --data cifar10 --data-dir DIR --out levels.cram`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(ctx context.Context, args []string) error { return a.runCompress(ctx, args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&f.with, "with", "level, or several with commas; may be repeated")
	fs.StringVar(&f.out, "out", "", "file to write")
	f.data.add(fs)
	fs.IntVar(&f.tune.Samples, "samples", 1000, "training examples to draw for the statistics")
	fs.IntVar(&f.tune.Batch, "batch", 128, "examples a batch")
	fs.IntVar(&f.tune.Batches, "batches", 100, "batches to estimate the statistics on")
	fs.Uint64Var(&f.tune.Seed, "seed", 0, "of the examples drawn and their augmentation")
	f.backend.add(fs)
	cmd.MarkFlagRequired("with")
	cmd.MarkFlagRequired("out")
	return cmd
}

// A compressed says what one level became.
type compressed struct {
	Level    string   `json:"level"`
	Sparsity float64  `json:"sparsity"` // of the prunable weights
	Kept     int      `json:"kept"`
	Total    int      `json:"total"`
	Tuned    bool     `json:"tuned"`           // batch-norm statistics were estimated anew
	Dense    []string `json:"dense,omitempty"` // weights the level left dense, and why
}

func (r compressed) text() string {
	s := fmt.Sprintf("%-16s %5.1f %% zeros, %d of %d weights kept", r.Level, 100*r.Sparsity, r.Kept, r.Total)
	for _, why := range r.Dense {
		s += "\n  stays dense: " + why
	}
	return s
}

// A written says which file a command has written.
type written struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func (r written) text() string { return fmt.Sprintf("wrote %s, %s", r.File, size(r.Bytes)) }

func (a *app) runCompress(ctx context.Context, file string, f compressFlags) error {
	if f.tune.Samples < 1 || f.tune.Batch < 1 || f.tune.Batches < 1 {
		return usagef("--samples is %d, --batch %d, --batches %d: want at least 1 each", f.tune.Samples, f.tune.Batch, f.tune.Batches)
	}
	net, err := sdk.Open(file)
	if err != nil {
		return err
	}
	a.noteDenseWidened(file, net)
	if f.data.name != "" {
		set, err := f.data.open()
		if err != nil {
			return err
		}
		f.tune.Augment = set.Augment
		if f.tune.Set, err = set.split(data.Train, 0); err != nil {
			return err
		}
	} else {
		a.note("batch-norm statistics stay those of the dense network; give --data to tune them, accuracy at high sparsity depends on it")
	}
	if f.tune.Backend, err = f.backend.open(ctx); err != nil {
		return err
	}
	defer f.tune.Backend.Close()
	if err := f.with.launch(ctx); err != nil {
		return err
	}
	defer f.with.close()
	small, err := sdk.Compress(ctx, net, f.tune, f.with.list...)
	if err != nil {
		return err
	}
	if err := small.Save(f.out); err != nil {
		return err
	}
	for _, level := range small.Levels() {
		report, err := small.Report(level)
		if err != nil {
			return err
		}
		total := report.Total()
		r := compressed{Level: level, Sparsity: total.Sparsity(), Kept: total.Kept, Total: total.Total, Tuned: f.tune.Set != nil && level != sdk.Dense}
		for _, row := range report.Rows {
			if row.Skipped != "" {
				r.Dense = append(r.Dense, row.Name+": "+row.Skipped)
			}
		}
		slices.Sort(r.Dense)
		if err := a.print(r); err != nil {
			return err
		}
	}
	return a.printWritten(f.out)
}

func (a *app) printWritten(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	return a.print(written{file, info.Size()})
}

// size formats a number of bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%d B", bytes)
}
