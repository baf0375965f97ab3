package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
)

type predictFlags struct {
	level   string
	top     int
	backend backendFlags
}

func (a *app) predict() *cobra.Command {
	var f predictFlags
	cmd := &cobra.Command{
		Use:   "predict FILE IMAGE...",
		Short: "Classify images",
		Long: `Classify .png and .jpg images with one level of a network. The centre of each image is cropped to
the proportions of the network's input and scaled to its size. The file of the network contains
the normalization and the names of the classes.`,
		Example: `  cram predict net90.cram cat.png dog.jpg
  cram predict levels.cram --level topk:0.9 --top 1 --json cat.png`,
		Args: cobra.MinimumNArgs(2),
		RunE: a.action(func(ctx context.Context, args []string) error { return a.runPredict(ctx, args[0], args[1:], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.level, "level", "", "`LEVEL` to use; not needed for a file with one level")
	fs.IntVar(&f.top, "top", 5, "number of classes to print, the most probable first")
	f.backend.add(fs)
	return cmd
}

// A predictResult is the result for one image.
type predictResult struct {
	Image   string        `json:"image"`
	Level   string        `json:"level"`
	Classes []classResult `json:"classes"` // the most probable first
}

type classResult struct {
	Class       string  `json:"class"` // the name; the number if the network has no names
	Label       int     `json:"label"`
	Probability float64 `json:"probability"`
}

func (r predictResult) text() string {
	parts := make([]string, len(r.Classes))
	for i, g := range r.Classes {
		parts[i] = fmt.Sprintf("%s %.1f %%", g.Class, 100*g.Probability)
	}
	return r.Image + ": " + strings.Join(parts, ", ")
}

func (a *app) runPredict(ctx context.Context, file string, images []string, f predictFlags) error {
	if err := atLeast(1, "top", f.top); err != nil {
		return err
	}
	backend, err := f.backend.open(ctx)
	if err != nil {
		return err
	}
	defer backend.Close()
	p, err := sdk.LoadSparse(ctx, file, sdk.PredictorOptions{Level: f.level, Backend: backend})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := a.noteWidened(file, p.Level()); err != nil {
		return err
	}
	for _, name := range images {
		guesses, err := classify(ctx, p, name, f.top)
		if err != nil {
			return err
		}
		if err := a.print(predictResult{name, p.Level(), guesses}); err != nil {
			return err
		}
	}
	return nil
}

// classify returns the top classes of one image, the most probable first.
func classify(ctx context.Context, p *sdk.Predictor, image string, top int) ([]classResult, error) {
	x, err := data.Image(image, p.Info().Input().Example())
	if err != nil {
		return nil, err
	}
	rows, err := p.Classify(ctx, x, top)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", image, err)
	}
	guesses := make([]classResult, len(rows[0]))
	for i, c := range rows[0] {
		guesses[i] = classResult{cmp.Or(c.Name, fmt.Sprint(c.Index)), c.Index, c.Probability}
	}
	return guesses, nil
}
