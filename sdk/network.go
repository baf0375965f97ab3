package sdk

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/internal/step"
	"github.com/compressaware/cram/sdk/nn"
)

// A Network is a trained model without its code: programs and at least one level. A level consists
// of the weights that one compressor has computed and their batch-norm statistics.
//
// [Trainer.Fit] returns a Network with the level "dense", [Compress] one with a level for each
// compressor, [Open] that of a file, [FromWeights] one of weights from elsewhere. A Network does
// not change and is safe for concurrent use.
type Network struct {
	info     Info
	programs programs
	levels   []level
}

// Dense is the name of the level with the weights that the training produced.
const Dense = "dense"

// Info is the description of a network in its file: inputs and outputs, model, data, recipe.
type Info = checkpoint.Info

// Port is the description of one input or output of a network: name, dtype, shape, normalization,
// class names.
type Port = checkpoint.Port

var errNoNetwork = errors.New("want a network, got an empty one; make it with Open, Trainer.Fit, Compress or FromWeights")

// A level has a value for every parameter and statistic of the programs.
type level struct {
	name    string
	tensors map[string]array.Value
	report  compress.Report   // empty for dense and for a level of a file
	notes   map[string]string // the reason for each weight that the compressor left dense

	programs    map[string]*graph.Program     // by name, in place of those of the network
	activations map[string]array.Quantization // by name
}

// newNetwork makes a network with the level dense.
func newNetwork(info Info, p programs, tensors map[string]array.Value) *Network {
	return &Network{info: info, programs: p, levels: []level{{name: Dense, tensors: tensors}}}
}

// FromWeights makes a network of a model and of weights that were trained elsewhere. Weights has
// the parameters and running statistics of the model by name, F32 and in the shapes of the model,
// and no other tensor. FromWeights copies them.
//
// Each port of info.Inputs has the shape of its input, [N, dimensions of one example]. An empty
// name stands for "x", an empty dtype for F32. Outputs and other empty fields of ports are those of
// the model.
//
// The error lists every tensor that is missing, is not part of the model, or has another shape.
func FromWeights(model nn.Model, info Info, weights map[string]array.Tensor) (*Network, error) {
	n, err := fromWeights(model, info, weights)
	if err != nil {
		return nil, fmt.Errorf("sdk: FromWeights: %w", err)
	}
	return n, nil
}

func fromWeights(model nn.Model, info Info, weights map[string]array.Tensor) (*Network, error) {
	if model == nil {
		return nil, errors.New("want a model, got nil")
	}
	inputs := make([]graph.Field, len(info.Inputs))
	for i, p := range info.Inputs {
		if len(p.Shape) == 0 || p.Shape[0] != graph.Sym("N") {
			return nil, fmt.Errorf("input %d of Info: want a shape [N …], got %v", i, p.Shape)
		}
		inputs[i] = graph.Field{Name: p.Name, Type: graph.Type{DType: p.DType, Shape: p.Shape[1:]}}
		if p.Name == "" {
			inputs[i].Name = "x"
		}
		if p.DType == array.InvalidDType {
			inputs[i].DType = array.F32
		}
	}
	if len(inputs) > 0 {
		n := data.Normalize{Mean: info.Input().Mean, Std: info.Input().Std}
		if err := checkNormalize(n, inputs[0]); err != nil {
			return nil, fmt.Errorf("normalization of input 0 of Info: %w", err)
		}
	}
	m := normalized{model, info.Input().Mean, info.Input().Std}
	decls, _, err := nn.Declare(m, inputs...)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	values := make(map[string]array.Value, len(weights))
	for name, t := range weights {
		if err := t.Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values[name] = array.DenseValue(t.Clone())
	}
	if err := matches(decls, values); err != nil {
		return nil, err
	}
	_, stats := step.Split(decls)
	p, err := trace(m, inputs, stats)
	if err != nil {
		return nil, err
	}
	info = p.describe(info)
	if err := p.checkPorts(info); err != nil {
		return nil, err
	}
	if err := storable(info, p); err != nil {
		return nil, err
	}
	return newNetwork(info, p, values), nil
}

// Info returns the description of the network. The caller must not change the result.
func (n *Network) Info() Info { return n.info }

// Levels returns the names of the levels, in the order of the compressors or of the file.
func (n *Network) Levels() []string {
	names := make([]string, len(n.levels))
	for i, l := range n.levels {
		names[i] = l.name
	}
	return names
}

// Report returns the effect of the compressor of a level on each weight. It is an error if Compress
// has not made the level in this process: the level of a training or of a file has no report. An
// unknown level is a [*checkpoint.LevelError]; "" stands for the only level.
func (n *Network) Report(levelName string) (compress.Report, error) {
	l, err := n.level(levelName)
	if err != nil {
		return compress.Report{}, fmt.Errorf("sdk: Report: %w", err)
	}
	if l.report.Rows == nil {
		return compress.Report{}, fmt.Errorf("sdk: Report: want a level that Compress has made, got %s of a training or a file, which has no report",
			l.name)
	}
	return l.report, nil
}

// level returns the level of a name. "" stands for the only level.
func (n *Network) level(name string) (level, error) {
	if n.programs.infer == nil {
		return level{}, errNoNetwork
	}
	if name == "" && len(n.levels) == 1 {
		return n.levels[0], nil
	}
	for _, l := range n.levels {
		if l.name == name {
			return l, nil
		}
	}
	return level{}, &checkpoint.LevelError{Want: name, Have: n.Levels()}
}

// main returns the only level, or the level dense if there are several.
func (n *Network) main() (level, error) {
	if len(n.levels) == 1 {
		return n.level("")
	}
	return n.level(Dense)
}

// decode returns the tensors of the level, decoded.
func (l level) decode() (map[string]array.Tensor, error) {
	out := make(map[string]array.Tensor, len(l.tensors))
	for name, v := range l.tensors {
		t, err := v.Decode()
		if err != nil {
			return nil, fmt.Errorf("level %s: %s: %w", l.name, name, err)
		}
		out[name] = t
	}
	return out, nil
}

// initial returns the tensors of the level dense as initial values of declarations. It is an error
// if they do not match.
func (n *Network) initial(decls []nn.Decl) (map[string]array.Tensor, error) {
	dense, err := n.level(Dense)
	if err != nil {
		return nil, err
	}
	if err := matches(decls, dense.tensors); err != nil {
		return nil, err
	}
	return dense.decode()
}

// matches returns an error unless the names, dtypes and shapes of tensors are those of the
// declarations. The error lists every difference.
func matches(decls []nn.Decl, tensors map[string]array.Value) error {
	var wrong []string
	known := map[string]bool{}
	for _, d := range decls {
		known[d.Name] = true
		dims, _ := d.Shape.Dims()
		t, ok := tensors[d.Name]
		switch {
		case !ok:
			wrong = append(wrong, d.Name+" is missing")
		case t.DType != d.DType || !slices.Equal(t.Dims, dims):
			wrong = append(wrong, fmt.Sprintf("%s: want %v%v, got %v%v", d.Name, d.DType, dims, t.DType, t.Dims))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		if !known[name] {
			wrong = append(wrong, name+" is unexpected")
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("want the weights of the model: %s", strings.Join(wrong, "; "))
	}
	return nil
}
