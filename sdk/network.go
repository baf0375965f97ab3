package sdk

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/internal/step"
	"github.com/compressaware/cram/sdk/nn"
)

// A Network is a trained model without its code: programs, and at least one level. Each level holds
// the weights as one compressor leaves them, with batch-norm statistics of its own.
//
// Fit returns a Network with the single level "dense", [Compress] one with a level for each
// compressor, and [Open] what a file holds. A Network does not change and is safe for concurrent
// use.
type Network struct {
	info     Info
	programs programs
	levels   []level
}

// Dense is the name of the level that no compressor has changed.
const Dense = "dense"

// Info describes a network and is stored in its file.
type Info = checkpoint.Info

// Port describes one named tensor that a network takes or returns, a part of [Info].
type Port = checkpoint.Port

var errNoNetwork = errors.New("want a network, got an empty one; make it with Open, Trainer.Fit, Compress or FromWeights")

// A level holds a value for every parameter and statistic of the programs.
type level struct {
	name    string
	tensors map[string]array.Value
	report  compress.Report   // empty for dense and for a level of a file
	notes   map[string]string // the weights that the compressor left dense, and why

	programs    map[string]*graph.Program     // replace those of the network
	activations map[string]array.Quantization // by name
}

// newNetwork makes a network of the single level dense.
func newNetwork(info Info, p programs, tensors map[string]array.Value) *Network {
	return &Network{info: info, programs: p, levels: []level{{name: Dense, tensors: tensors}}}
}

// FromWeights makes a network of a model and weights that were trained elsewhere: every parameter
// and running statistic of the model by its name, float32, in the model's shapes, and nothing else.
//
// info.Inputs needs the shape [N, one example] of every input. A name left empty is "x", a type
// float32; the model fills in what else its ports leave empty.
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
	return newNetwork(p.describe(info), p, values), nil
}

// Info returns the description of the network. The result must not be changed.
func (n *Network) Info() Info { return n.info }

// Levels returns the names of the levels.
func (n *Network) Levels() []string {
	names := make([]string, len(n.levels))
	for i, l := range n.levels {
		names[i] = l.name
	}
	return names
}

// Report returns what the level's compressor did to each weight. It is empty for the dense level
// and for a network that was opened from a file.
func (n *Network) Report(levelName string) (compress.Report, error) {
	l, err := n.level(levelName)
	if err != nil {
		return compress.Report{}, fmt.Errorf("sdk: Report: %w", err)
	}
	return l.report, nil
}

// level returns the level of a name; "" is the only one there is.
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

// main returns the dense level, or the only one there is.
func (n *Network) main() (level, error) {
	if len(n.levels) == 1 {
		return n.level("")
	}
	return n.level(Dense)
}

// decode returns the level's tensors as plain ones.
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

// initial returns the dense tensors for the given declarations, as initial values of a training.
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

// matches returns an error unless tensors holds exactly what is declared. It lists every name that
// is missing, unexpected or of another shape.
func matches(decls []nn.Decl, tensors map[string]array.Value) error {
	var wrong []error
	known := map[string]bool{}
	for _, d := range decls {
		known[d.Name] = true
		dims, _ := d.Shape.Dims()
		t, ok := tensors[d.Name]
		switch {
		case !ok:
			wrong = append(wrong, fmt.Errorf("%s is missing", d.Name))
		case t.DType != d.DType || !slices.Equal(t.Dims, dims):
			wrong = append(wrong, fmt.Errorf("%s: want %v%v, got %v%v", d.Name, d.DType, dims, t.DType, t.Dims))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		if !known[name] {
			wrong = append(wrong, fmt.Errorf("%s is unexpected", name))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("weights do not fit the model: %w", errors.Join(wrong...))
	}
	return nil
}
