package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
)

type evalFlags struct {
	level   string
	batch   int
	limit   int
	data    dataFlags
	backend backendFlags
}

func (a *app) eval() *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use:   "eval FILE --data NAME",
		Short: "Measure accuracy, loss and speed on a test split",
		Long: `Measure a network on the test split of a data set: accuracy (the share of examples whose largest logit is the label's),
mean cross-entropy in nats, and images a second, reading the data included. A file of several levels is measured at each of
them, in the file's order.`,
		Example: `  cram eval net90.cram --data cifar10 --data-dir DIR --json
  cram eval levels.cram --level topk:0.9 --data cifar10 --data-dir DIR`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(ctx context.Context, args []string) error { return a.runEval(ctx, args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.data.add(fs)
	fs.StringVar(&f.level, "level", "", "measure this level only")
	fs.IntVar(&f.batch, "batch", 128, "examples a batch")
	fs.IntVar(&f.limit, "limit", 0, "measure on the first N examples only; 0 means all")
	f.backend.add(fs)
	cmd.MarkFlagRequired("data")
	return cmd
}

// A score is what one level is worth.
type score struct {
	Level        string  `json:"level"`
	Accuracy     float64 `json:"accuracy"` // 0 to 1
	Loss         float64 `json:"loss"`
	Examples     int     `json:"examples"`
	PerSecond    float64 `json:"images_per_s"`
	Backend      string  `json:"backend"`
	Instructions string  `json:"instructions"`
	Threads      int     `json:"threads"`
}

func (r score) text() string {
	return fmt.Sprintf("%-16s accuracy %6.2f %%   loss %.4f   %d images   %.0f images/s on %s %s", r.Level, 100*r.Accuracy, r.Loss, r.Examples, r.PerSecond, r.Backend, r.Instructions)
}

func (a *app) runEval(ctx context.Context, file string, f evalFlags) error {
	if f.batch < 1 {
		return usagef("--batch is %d, must be at least 1", f.batch)
	}
	known, err := f.data.open()
	if err != nil {
		return err
	}
	set, err := known.split(data.Test, f.limit)
	if err != nil {
		return err
	}
	net, err := sdk.Open(file)
	if err != nil {
		return err
	}
	backend, err := f.backend.open(ctx)
	if err != nil {
		return err
	}
	defer backend.Close()
	levels := net.Levels()
	if f.level != "" {
		levels = []string{f.level}
	}
	for _, level := range levels {
		stored, err := net.Widened(level)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		a.noteWidened(file, level, stored)
		r, err := measure(ctx, net, level, backend, set, f.batch)
		if err != nil {
			return err
		}
		if err := a.print(r); err != nil {
			return err
		}
	}
	return nil
}

// measure scores one level.
func measure(ctx context.Context, net *sdk.Network, level string, backend backends.Backend, set data.Set, batch int) (score, error) {
	p, err := net.Predictor(ctx, sdk.Level(level), sdk.On(backend))
	if err != nil {
		return score{}, err
	}
	defer p.Close()
	start := time.Now()
	s, err := p.Evaluate(ctx, set, batch)
	if err != nil {
		return score{}, err
	}
	info := p.Backend()
	return score{
		Level: level, Accuracy: s.Accuracy, Loss: s.Loss, Examples: s.Examples,
		PerSecond: float64(s.Examples) / time.Since(start).Seconds(),
		Backend:   info.Name, Instructions: info.InstructionSet, Threads: info.Threads,
	}, nil
}
