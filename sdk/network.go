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
	"github.com/compressaware/cram/sdk/nn"
)

// A Network is a trained model without its code: programs, and one level or more, each the weights as one compressor
// leaves them with batch-norm statistics of its own.
//
// Fit returns one with the single level "dense", [Compress] one with a level for each compressor, [Open] what a file
// holds. A Network never changes and is safe for concurrent use. The zero Network, and nil, have no levels and answer with errors.
type Network struct {
	info     Info
	programs programs
	levels   []level
}

// Dense is the name of the level that no compressor has touched.
const Dense = "dense"

// Info is what a network says about itself; it travels in its file.
type Info = checkpoint.Info

// Port is one named tensor that a network takes or returns, a part of [Info].
type Port = checkpoint.Port

var errNoNetwork = errors.New("the Network is empty; make one with Open, Trainer.Fit, Compress or FromWeights")

func (n *Network) empty() bool { return n == nil || n.programs.infer == nil }

// A level holds a value for every parameter and statistic of the programs.
type level struct {
	name    string
	tensors map[string]array.Value
	report  compress.Report        // empty for dense and for what comes from a file
	widened map[string]array.DType // tensors that the file stores in 16 bits
	notes   map[string]string      // which weights the compressor left dense, and why

	programs    map[string]*graph.Program // replace those of the network
	activations map[string]array.Quantization
}

// Info returns what the network says about itself. The result must not be changed.
func (n *Network) Info() Info {
	if n.empty() {
		return Info{}
	}
	return n.info
}

// Levels returns the names of the levels.
func (n *Network) Levels() []string {
	if n.empty() {
		return nil
	}
	names := make([]string, len(n.levels))
	for i, l := range n.levels {
		names[i] = l.name
	}
	return names
}

// Report says what the level's compressor did to each weight. It is empty for the dense level and for a network that was opened
// from a file.
func (n *Network) Report(levelName string) (compress.Report, error) {
	l, err := n.level(levelName)
	if err != nil {
		return compress.Report{}, fmt.Errorf("sdk: Report: %w", err)
	}
	return l.report, nil
}

// level finds a level by name; "" is the only one there is.
func (n *Network) level(name string) (level, error) {
	if n.empty() {
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

// newNetwork makes a network of the single level dense.
func newNetwork(info Info, p programs, tensors map[string]array.Value) *Network {
	return &Network{info: info, programs: p, levels: []level{{name: Dense, tensors: tensors}}}
}

// initial returns the dense tensors for the given declarations, to begin another training with.
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

// FromWeights makes a network of a model and weights that were trained elsewhere: every parameter and running statistic of the
// model by its name, float32, in the model's shapes, and nothing else. info.Inputs[0] needs the shape [N, one example];
// what else its ports leave empty is filled in from the model.
func FromWeights(model nn.Model, info Info, weights map[string]array.Tensor) (*Network, error) {
	if model == nil {
		return nil, errors.New("sdk: FromWeights: the model is nil")
	}
	input := info.Input().Shape
	m := normalized{model, info.Input().Mean, info.Input().Std}
	decls, _, err := nn.Declare(m, input)
	if err != nil {
		return nil, fmt.Errorf("sdk: model: %w", err)
	}
	values := make(map[string]array.Value, len(weights))
	for name, t := range weights {
		if err := t.Check(); err != nil {
			return nil, fmt.Errorf("sdk: FromWeights: %s: %w", name, err)
		}
		values[name] = array.DenseValue(t.Clone())
	}
	if err := matches(decls, values); err != nil {
		return nil, fmt.Errorf("sdk: FromWeights: %w", err)
	}
	_, stats := split(decls)
	p, err := trace(m, input, stats)
	if err != nil {
		return nil, err
	}
	return newNetwork(p.describe(info), p, values), nil
}

// matches checks that tensors holds exactly what is declared, and lists every name that is missing, unexpected or of another shape.
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

// split parts declarations into parameters and statistics.
func split(decls []nn.Decl) (params, stats []nn.Decl) {
	for _, d := range decls {
		if d.Kind == graph.Stat {
			stats = append(stats, d)
		} else {
			params = append(params, d)
		}
	}
	return params, stats
}
