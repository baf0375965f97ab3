package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/sdk"
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
		Use:   "compress FILE --with LEVELS --out FILE",
		Short: "Prune a trained network to one or more levels",
		Long: `Prune the dense level of a network one-shot and write a file with one level for each compressor of
--with. With --data, the batch-norm statistics of each pruned level are estimated on augmented
training examples, without their labels. Without --data, the levels keep the statistics of the
dense level, and most of the accuracy at high sparsity is lost.

The compressors are:

- SPARSITY or topk:SPARSITY: the largest weights of the whole network remain
- uniform:SPARSITY: the largest weights of each tensor remain, and all weights of the first and of
  the last kernel
- nm:N:M: the N largest of each M consecutive weights remain
- block4:SPARSITY: the largest blocks of 4 output channels remain; other sizes are block8, …
- only(PATTERN,…):COMPRESSOR: the compressor for weights whose names match
- except(PATTERN,…):COMPRESSOR: the compressor for all other weights
- dense: all weights remain
- ` + pluginSyntax + `: a compressor in a separate program with its arguments; it cannot be
  the COMPRESSOR of only and except

SPARSITY is the fraction of zeros, from 0 to 1.`,
		Example: `  cram compress net.cram --with topk:0.9 --data cifar10 --data-dir DIR --out net90.cram
  cram compress net.cram --with dense,0.5,0.9 --with 'except(fc.*):topk:0.9' --with nm:2:4 \
      --data cifar10 --data-dir DIR --out levels.cram
  cram compress net.cram --with 'plugin:./small?0.01' --out small.cram`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(ctx context.Context, args []string) error { return a.runCompress(ctx, args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&f.with, "with", "`LEVELS` to write: compressors separated by commas; may be repeated")
	fs.StringVar(&f.out, "out", "", "`FILE` to write")
	f.data.add(fs)
	fs.IntVar(&f.tune.Samples, "samples", 1000, "training examples to draw for the statistics")
	fs.IntVar(&f.tune.Batch, "batch", 128, "examples per batch")
	fs.IntVar(&f.tune.Batches, "batches", 100, "batches for the estimate of the statistics")
	fs.Uint64Var(&f.tune.Seed, "seed", 0, "seed of the draw of examples and of their augmentation")
	f.backend.add(fs)
	cmd.MarkFlagRequired("with")
	cmd.MarkFlagRequired("out")
	return cmd
}

// A compressResult is the result for one level.
type compressResult struct {
	Level    string  `json:"level"`
	Sparsity float64 `json:"sparsity"` // of the prunable weights
	Kept     int     `json:"kept"`
	Total    int     `json:"total"`
	Tuned    bool    `json:"tuned"` // the batch-norm statistics were estimated for this level

	// The prunable weights that were not pruned, each with the reason.
	Dense []string `json:"dense,omitempty"`
}

func (r compressResult) text() string {
	s := fmt.Sprintf("%-16s %5.1f %% zeros, %d of %d weights kept", r.Level, 100*r.Sparsity, r.Kept, r.Total)
	for _, reason := range r.Dense {
		s += "\n  not pruned: " + reason
	}
	return s
}

// A writeResult is the last result of a command that writes a file.
type writeResult struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func (r writeResult) text() string { return fmt.Sprintf("wrote %s, %s", r.File, size(r.Bytes)) }

func (a *app) runCompress(ctx context.Context, file string, f compressFlags) error {
	if err := cmp.Or(
		atLeast(1, "samples", f.tune.Samples),
		atLeast(1, "batch", f.tune.Batch),
		atLeast(1, "batches", f.tune.Batches),
	); err != nil {
		return err
	}
	net, err := sdk.Open(file)
	if err != nil {
		return err
	}
	if err := a.noteWidened(file, sdk.Dense); err != nil {
		return err
	}
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
		a.note("no --data: the levels keep the batch-norm statistics of the dense level, and lose accuracy at high sparsity")
	}
	if f.tune.Backend, err = f.backend.open(ctx); err != nil {
		return err
	}
	defer f.tune.Backend.Close()
	if err := f.with.launch(ctx); err != nil {
		return err
	}
	defer f.with.close()
	pruned, err := sdk.Compress(ctx, net, f.tune, f.with.list...)
	if err != nil {
		return err
	}
	if err := pruned.Save(f.out); err != nil {
		return err
	}
	if err := a.printReports(pruned, f.tune.Set != nil); err != nil {
		return err
	}
	return a.printWritten(f.out)
}

// printReports prints the result of each level. Tuned states whether statistics were estimated.
func (a *app) printReports(net *sdk.Network, tuned bool) error {
	for _, level := range net.Levels() {
		report, err := net.Report(level)
		if err != nil {
			return err
		}
		total := report.Total()
		r := compressResult{Level: level, Sparsity: total.Sparsity(), Kept: total.Kept, Total: total.Total, Tuned: tuned && level != sdk.Dense}
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
	return nil
}

func (a *app) printWritten(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	return a.print(writeResult{file, info.Size()})
}

// size returns a number of bytes with a unit.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%d B", bytes)
}
