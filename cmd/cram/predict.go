package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gorgonia.org/tensor"

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

// A prediction is the result for one image.
type prediction struct {
	Image   string  `json:"image"`
	Level   string  `json:"level"`
	Classes []guess `json:"classes"` // the most probable first
}

type guess struct {
	Class       string  `json:"class"` // the name; the number if the network has no names
	Label       int     `json:"label"`
	Probability float64 `json:"probability"`
}

func (r prediction) text() string {
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
	p, err := sdk.LoadSparse(file, sdk.Level(f.level), sdk.On(backend))
	if err != nil {
		return err
	}
	defer p.Close()
	if err := a.noteWidened(file, p.Level()); err != nil {
		return err
	}
	for _, name := range images {
		guesses, err := classify(ctx, p, name)
		if err != nil {
			return err
		}
		if err := a.print(prediction{name, p.Level(), guesses[:min(f.top, len(guesses))]}); err != nil {
			return err
		}
	}
	return nil
}

// classify returns all classes of one image, the most probable first.
func classify(ctx context.Context, p *sdk.Predictor, image string) ([]guess, error) {
	example, classes := p.Info().Input().Example(), p.Info().Output().Classes
	x, err := data.Image(image, example)
	if err != nil {
		return nil, err
	}
	y, err := p.Predict(ctx, tensor.New(tensor.WithShape(append([]int{1}, example...)...), tensor.WithBacking(x)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", image, err)
	}
	logits, ok := y.Data().([]float32)
	if !ok || len(y.Shape()) != 2 {
		return nil, fmt.Errorf("%s: want float32 logits of one image from the network, got %v %v", image, y.Dtype(), y.Shape())
	}
	guesses := make([]guess, len(logits))
	for label, probability := range softmax(logits) {
		name := fmt.Sprint(label)
		if label < len(classes) {
			name = classes[label]
		}
		guesses[label] = guess{name, label, probability}
	}
	slices.SortStableFunc(guesses, func(a, b guess) int { return cmp.Compare(b.Probability, a.Probability) })
	return guesses, nil
}

// softmax returns e^x[i] / Σ_j e^x[j].
func softmax(x []float32) []float64 {
	top, sum := float64(slices.Max(x)), 0.0
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Exp(float64(v) - top)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}
