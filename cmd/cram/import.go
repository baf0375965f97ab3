package main

import (
	"cmp"
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
		Short: "Make a network from weights of another library",
		Long: `Make a network from the weights in a safetensors file. The tensors may have the names of
torchvision, timm (ResNet, VGG), transformers (ResNet, MobileNet v1), Keras (MobileNet v1) or cram.
The command selects the library whose names fit best. Then the file must contain exactly the names
and shapes of the model; the error lists every tensor that is missing, unexpected or of another
shape. A common prefix such as "module." is removed, the counters num_batches_tracked of PyTorch
are left out, and 16-bit weights are converted to float32.

--mean and --std are the normalization that the training used, for images with values from 0 to 1.
If the training computed x/127.5-1 from bytes x, both are 0.5.`,
		Example: `  cram import resnet50.safetensors --model resnet50 --classes 1000 \
      --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --out resnet50.cram
  cram import mobilenet.safetensors --model mobilenet_v1_0.75 --labels labels.json \
      --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 --out mobilenet.cram`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runImport(args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	addModel(fs, &f.model, "")
	fs.IntVar(&f.classes, "classes", 10, "number of classes")
	fs.StringSliceVar(&f.classNames, "class-names", nil, "`NAMES` of the classes, separated by commas, in the order of the labels")
	fs.StringVar(&f.labels, "labels", "", "`FILE` with the names of the classes: one per line, a JSON list, or a JSON object with the list \"labels\"")
	fs.IntVar(&f.size, "image-size", 0, "height and width of the input in pixels; 0 for the size for which the model was published")
	fs.Float32SliceVar(&f.mean, "mean", nil, "mean of each channel: `NUMBERS` separated by commas")
	fs.Float32SliceVar(&f.std, "std", nil, "standard deviation of each channel: `NUMBERS` separated by commas")
	fs.StringVar(&f.out, "out", "", "`FILE` to write")
	cmd.MarkFlagRequired("model")
	cmd.MarkFlagRequired("out")
	cmd.MarkFlagsRequiredTogether("mean", "std")
	cmd.MarkFlagsMutuallyExclusive("classes", "class-names", "labels")
	return cmd
}

// An importResult is the result of import. File is empty if the names or shapes do not fit.
type importResult struct {
	File  string `json:"file,omitempty"`
	Model string `json:"model"`
	naming.Report
}

func (r importResult) text() string {
	s := fmt.Sprintf("%s: %d tensors with the names of %s", r.Model, r.Tensors, r.Library)
	if r.Prefix != "" {
		s += fmt.Sprintf(", all with the prefix %q", r.Prefix)
	}
	if len(r.LeftOut) > 0 {
		s += fmt.Sprintf(", %d left out that are not weights", len(r.LeftOut))
	}
	if len(r.Widened) > 0 {
		s += fmt.Sprintf(", %d converted to float32", len(r.Widened))
	}
	if r.File == "" {
		return s + fmt.Sprintf("; %d missing, %d unexpected, %d of another shape", len(r.Missing), len(r.Unexpected), len(r.Unfit))
	}
	return s + "; wrote " + r.File
}

func (a *app) runImport(file string, f importFlags) error {
	if err := cmp.Or(
		checkModel(f.model),
		atLeast(1, "classes", f.classes),
		atLeast(0, "image-size", f.size),
	); err != nil {
		return err
	}
	classes, err := f.namedClasses()
	if err != nil {
		return err
	}
	model, published, err := models.New(f.model, f.classes)
	if err != nil {
		return err
	}
	shape, _ := published.Shape.Dims()
	if f.size > 0 {
		shape[1], shape[2] = f.size, f.size
	}
	weights, report, err := readWeights(file, model, shape)
	if err != nil {
		return err
	}
	result := importResult{Model: f.model, Report: report}
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
		a.note("no --mean and --std: the network reads raw values from 0 to 1; its results are wrong if its training normalized them")
	}
	result.File = f.out
	return a.print(result)
}

// namedClasses returns the names of the classes, nil for none, and sets their number.
func (f *importFlags) namedClasses() ([]string, error) {
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
		return nil, errors.New("want names of classes, got none")
	}
	return names, nil
}

// readWeights reads the weights of a model from a safetensors file with the names of any known
// library. Shape is that of one example.
func readWeights(file string, model nn.Model, shape []int) (map[string]array.Tensor, naming.Report, error) {
	decls, _, err := nn.Declare(model, graph.Floats("x", shape...))
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
