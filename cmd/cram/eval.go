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
		Long: `Evaluate each level of a network on the test split of a data set. The results are the accuracy
(the fraction of examples whose largest logit is that of the label), the mean cross-entropy in
nats, and the images per second, with the time to read the data.`,
		Example: `  cram eval net90.cram --data cifar10 --data-dir DIR --json
  cram eval levels.cram --level topk:0.9 --data cifar10 --data-dir DIR`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(ctx context.Context, args []string) error { return a.runEval(ctx, args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.data.add(fs)
	fs.StringVar(&f.level, "level", "", "evaluate this `LEVEL` only")
	fs.IntVar(&f.batch, "batch", 128, "examples per batch")
	fs.IntVar(&f.limit, "limit", 0, "evaluate on the first N examples only; 0 for all")
	f.backend.add(fs)
	cmd.MarkFlagRequired("data")
	return cmd
}

// An evalResult is the result for one level.
type evalResult struct {
	Level          string  `json:"level"`
	Accuracy       float64 `json:"accuracy"` // 0 to 1
	Loss           float64 `json:"loss"`
	Examples       int     `json:"examples"`
	PerSecond      float64 `json:"images_per_s"`
	Backend        string  `json:"backend"`
	InstructionSet string  `json:"instruction_set"`
	Threads        int     `json:"threads"`
}

func (r evalResult) text() string {
	return fmt.Sprintf("%-16s accuracy %6.2f %%   loss %.4f   %d images   %.0f images/s on %s %s",
		r.Level, 100*r.Accuracy, r.Loss, r.Examples, r.PerSecond, r.Backend, r.InstructionSet)
}

func (a *app) runEval(ctx context.Context, file string, f evalFlags) error {
	if err := atLeast(1, "batch", f.batch); err != nil {
		return err
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
		if err := a.noteWidened(file, level); err != nil {
			return err
		}
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

// measure evaluates one level.
func measure(ctx context.Context, net *sdk.Network, level string, backend backends.Backend, set data.Set, batch int) (evalResult, error) {
	p, err := net.Predictor(ctx, sdk.PredictorOptions{Level: level, Backend: backend})
	if err != nil {
		return evalResult{}, err
	}
	defer p.Close()
	start := time.Now()
	s, err := p.Evaluate(ctx, set, batch)
	if err != nil {
		return evalResult{}, err
	}
	info := p.Backend()
	return evalResult{
		Level: level, Accuracy: s.Values["accuracy"], Loss: s.Values["cross_entropy"], Examples: s.Examples,
		PerSecond: float64(s.Examples) / time.Since(start).Seconds(),
		Backend:   info.Name, InstructionSet: info.InstructionSet, Threads: info.Threads,
	}, nil
}
