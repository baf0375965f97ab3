package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/checkpoint/naming"
	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

type importFlags struct {
	model      string
	classes    int
	classNames []string
	labels     string
	size       int
	mean, std  []float32
	out        string
}

func (a *app) importWeights() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE.safetensors --model NAME --out FILE",
		Short: "Make a network of weights that were trained elsewhere",
		Long: `Make a network of the weights in a safetensors file. Names may be PyTorch's (torchvision's, timm's for ResNet, and cram's own), those
of transformers (ResNet, MobileNet v1), timm (VGG) or Keras (MobileNet v1): those that fit best are taken, and then names and shapes
must be exactly the model's; every one that is missing, unexpected or of another shape is listed. A prefix such as "module." that all
names share is taken off, PyTorch's num_batches_tracked counters are left out, and 16-bit weights become float32.

--mean and --std are what the training normalised its images with, which count from 0 to 1. An input x/127.5-1 is 0.5 for both.`,
		Example: `  cram import --model resnet20a --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 weights.safetensors --out r.cram
  cram import --model resnet50 --classes 1000 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 model.safetensors --out r50.cram
  cram import --model mobilenet_v1_0.75 --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 --labels labels.json mobilenet.safetensors --out m.cram`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runImport(args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.model, "model", "", "network: "+strings.Join(models.Names(), ", "))
	fs.IntVar(&f.classes, "classes", 10, "number of classes")
	fs.StringSliceVar(&f.classNames, "class-names", nil, "names of the classes, in order of their labels")
	fs.StringVar(&f.labels, "labels", "", "file with the names of the classes: one a line, a JSON list, or a JSON object with the list \"labels\"")
	fs.IntVar(&f.size, "image-size", 0, "side of the input in pixels; 0 means what the model was published for")
	fs.Float32SliceVar(&f.mean, "mean", nil, "mean of each channel")
	fs.Float32SliceVar(&f.std, "std", nil, "standard deviation of each channel")
	fs.StringVar(&f.out, "out", "", "file to write")
	cmd.MarkFlagRequired("model")
	cmd.MarkFlagRequired("out")
	cmd.MarkFlagsRequiredTogether("mean", "std")
	cmd.MarkFlagsMutuallyExclusive("classes", "class-names", "labels")
	return cmd
}

// An imported says what import has read and made. Where names do not fit, File is empty.
type imported struct {
	File  string `json:"file,omitempty"`
	Model string `json:"model"`
	naming.Report
}

func (r imported) text() string {
	s := fmt.Sprintf("%s: %d tensors by the names of %s", r.Model, r.Tensors, r.Library)
	if r.Prefix != "" {
		s += fmt.Sprintf(", all after %q", r.Prefix)
	}
	if len(r.LeftOut) > 0 {
		s += fmt.Sprintf(", %d left out that are no weights", len(r.LeftOut))
	}
	if len(r.Widened) > 0 {
		s += fmt.Sprintf(", %d widened to float32", len(r.Widened))
	}
	if r.File == "" {
		return s + fmt.Sprintf("; %d missing, %d unexpected, %d of another shape", len(r.Missing), len(r.Unexpected), len(r.Unfit))
	}
	return s + "; wrote " + r.File
}

func (a *app) runImport(file string, f importFlags) error {
	classes, err := f.classesNamed()
	if err != nil {
		return err
	}
	if f.size < 0 {
		return usagef("--image-size is %d, must be 0 or more", f.size)
	}
	model, published, err := models.New(f.model, f.classes)
	if err != nil {
		return usageError{err}
	}
	shape := []int{published[1].C, published[2].C, published[3].C}
	if f.size > 0 {
		shape[1], shape[2] = f.size, f.size
	}
	weights, report, err := readWeights(file, model, shape)
	if err != nil {
		return err
	}
	result := imported{Model: f.model, Report: report}
	if err := report.Err(); err != nil {
		return errors.Join(a.print(result), fmt.Errorf("%s: %w", file, err))
	}
	net, err := sdk.FromWeights(model, sdk.Info{
		Model: f.model, Recipe: "imported weights",
		Inputs:  []sdk.Port{{Shape: graph.Batch(shape...), Mean: f.mean, Std: f.std}},
		Outputs: []sdk.Port{{Classes: classes}},
	}, weights)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := net.Save(f.out); err != nil {
		return err
	}
	if len(f.mean) == 0 {
		a.note("no --mean and --std: the network is fed raw values from 0 to 1; if its training normalised them, its answers will be wrong")
	}
	result.File = f.out
	return a.print(result)
}

// classesNamed returns the names of the classes, nil for none, and sets their number.
func (f *importFlags) classesNamed() ([]string, error) {
	names := f.classNames
	if f.labels != "" {
		content, err := os.ReadFile(f.labels)
		if err != nil {
			return nil, err
		}
		if names, err = parseLabels(content); err != nil {
			return nil, fmt.Errorf("%s: %w", f.labels, err)
		}
	}
	if len(names) > 0 {
		f.classes = len(names)
	}
	return names, nil
}

// parseLabels reads a JSON list, a JSON object with the list "labels", or one name a line.
func parseLabels(content []byte) ([]string, error) {
	var names []string
	text := strings.TrimSpace(string(content))
	switch {
	case strings.HasPrefix(text, "["):
		if err := json.Unmarshal(content, &names); err != nil {
			return nil, fmt.Errorf("want a JSON list of names: %w", err)
		}
	case strings.HasPrefix(text, "{"):
		var object struct{ Labels []string }
		if err := json.Unmarshal(content, &object); err != nil {
			return nil, fmt.Errorf("want a JSON object with a list \"labels\": %w", err)
		}
		names = object.Labels
	default:
		for line := range strings.Lines(text) {
			names = append(names, strings.TrimSpace(line))
		}
	}
	if len(names) == 0 || text == "" {
		return nil, errors.New("holds no names of classes")
	}
	return names, nil
}

// readWeights reads the weights of a model from a safetensors file, by whoever's names it has.
func readWeights(file string, model nn.Model, shape []int) (map[string]array.Tensor, naming.Report, error) {
	decls, _, err := nn.Declare(model, graph.Batch(shape...))
	if err != nil {
		return nil, naming.Report{}, err
	}
	want := map[string][]int{}
	for _, d := range decls {
		want[d.Name], _ = d.Shape.Dims()
	}
	r, err := safetensors.Open(file)
	if err != nil {
		return nil, naming.Report{}, err
	}
	defer r.Close()
	weights, report, err := naming.Convert(want, r)
	if err != nil {
		return nil, report, fmt.Errorf("%s: %w", file, err)
	}
	return weights, report, nil
}
