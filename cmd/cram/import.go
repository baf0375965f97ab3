package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn/models"
)

type importFlags struct {
	model      string
	classes    int
	classNames []string
	size       int
	mean, std  []float32
	out        string
}

func (a *app) importWeights() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE.safetensors --model NAME --out FILE",
		Short: "Make a network of weights that were trained elsewhere",
		Long: `Make a network of the weights in a safetensors file. Names and shapes must be exactly the model's, which are PyTorch's;
every one that is missing, unexpected or of another shape is listed. A prefix "module." that all names share is taken off, and
PyTorch's num_batches_tracked counters are left out.

--mean and --std are what the training normalised its images with, which count from 0 to 1.`,
		Example: `  cram import --model resnet20a --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 weights.safetensors --out r.cram
  cram import --model resnet18 --classes 1000 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 resnet18.safetensors --out r18.cram`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runImport(args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.model, "model", "", "network: "+strings.Join(models.Names(), ", "))
	fs.IntVar(&f.classes, "classes", 10, "number of classes")
	fs.StringSliceVar(&f.classNames, "class-names", nil, "names of the classes, in order of their labels")
	fs.IntVar(&f.size, "image-size", 0, "side of the input in pixels; 0 means what the model was published for")
	fs.Float32SliceVar(&f.mean, "mean", nil, "mean of each channel")
	fs.Float32SliceVar(&f.std, "std", nil, "standard deviation of each channel")
	fs.StringVar(&f.out, "out", "", "file to write")
	cmd.MarkFlagRequired("model")
	cmd.MarkFlagRequired("out")
	cmd.MarkFlagsRequiredTogether("mean", "std")
	cmd.MarkFlagsMutuallyExclusive("classes", "class-names")
	return cmd
}

// An imported says what import has made.
type imported struct {
	File    string   `json:"file"`
	Model   string   `json:"model"`
	Tensors int      `json:"tensors"`
	LeftOut []string `json:"left_out,omitempty"`
}

func (r imported) text() string {
	s := fmt.Sprintf("wrote %s: %s with %d tensors", r.File, r.Model, r.Tensors)
	if len(r.LeftOut) > 0 {
		s += fmt.Sprintf(", %d counters left out", len(r.LeftOut))
	}
	return s
}

func (a *app) runImport(file string, f importFlags) error {
	if len(f.classNames) > 0 {
		f.classes = len(f.classNames)
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
	weights, leftOut, err := readWeights(file)
	if err != nil {
		return err
	}
	net, err := sdk.FromWeights(model, sdk.Info{
		Model: f.model, Recipe: "imported weights",
		Input: sdk.Input{Shape: shape, Mean: f.mean, Std: f.std, Classes: f.classNames},
	}, weights)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := net.Save(f.out); err != nil {
		return err
	}
	return a.print(imported{f.out, f.model, len(weights), leftOut})
}

// readWeights reads a safetensors file under the names that models use.
func readWeights(file string) (weights map[string]graph.Tensor, leftOut []string, err error) {
	r, err := safetensors.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	names := r.Names()
	prefix := "module." // what torch.nn.DataParallel puts before every name
	if slices.ContainsFunc(names, func(name string) bool { return !strings.HasPrefix(name, prefix) }) {
		prefix = ""
	}
	weights = map[string]graph.Tensor{}
	for _, name := range names {
		if strings.HasSuffix(name, ".num_batches_tracked") {
			leftOut = append(leftOut, name)
			continue
		}
		if weights[strings.TrimPrefix(name, prefix)], err = r.Tensor(name); err != nil {
			return nil, nil, err
		}
	}
	return weights, leftOut, nil
}
