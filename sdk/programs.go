package sdk

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// programs are the programs of a network. With them serving, compression and further training need
// no code of the model.
type programs struct {
	// infer reads the inputs, raw examples, and returns the outputs. Batch norms use the running
	// statistics.
	infer *graph.Program
	// train reads the inputs and a key of random numbers, returns the outputs of a training pass
	// and updates the running statistics. It is nil in files of version 1.
	train *graph.Program
	// tune is train without outputs. It is nil if train updates no statistics.
	tune *graph.Program
	// reset sets the statistics that train updates to their initial values. It is nil if there are
	// none.
	reset *graph.Program
}

// Names of the programs in a file. Files of version 1 have tune instead of train.
const (
	programInfer = "infer"
	programTrain = "train"
	programTune  = "tune"
	programReset = "reset"
)

const (
	outputMain = "output" // the main output of the programs that this package traces
	inputKey   = "key"    // the key of random numbers
)

// trace builds the programs of a model. Statistics that no training pass updates keep their values
// and are not part of tune and reset.
func trace(model nn.Model, inputs []graph.Field, stats []nn.Decl) (programs, error) {
	var p programs
	var err error
	if p.infer, err = build(model, inputs, nn.Infer); err != nil {
		return p, err
	}
	if p.train, err = build(model, inputs, nn.Train); err != nil {
		return p, err
	}
	if p.tune, err = onlyUpdates(p.train); err != nil {
		return p, err
	}
	if p.tune != nil {
		stats = slices.DeleteFunc(slices.Clone(stats), func(d nn.Decl) bool {
			return !slices.ContainsFunc(p.train.Updates, func(u graph.Update) bool { return u.Slot == d.Name })
		})
		if p.reset, err = reset(stats); err != nil {
			return p, err
		}
	}
	if err := p.check(); err != nil {
		return p, fmt.Errorf("model: %w", err)
	}
	return p, nil
}

// build traces a model in one mode.
func build(model nn.Model, inputs []graph.Field, mode nn.Mode) (*graph.Program, error) {
	b := graph.NewBuilder()
	pass := nn.NewPass(b, mode)
	pass.Inputs = map[string]graph.Node{}
	for _, f := range inputs {
		t := f.Batch()
		pass.Inputs[f.Name] = b.Input(f.Name, t.DType, t.Shape)
	}
	if mode == nn.Train {
		pass.Key = b.Input(inputKey, array.I64, graph.Of(2))
	}
	main := model.Forward(pass, pass.Inputs[inputs[0].Name])
	if _, ok := pass.Outputs[outputMain]; ok {
		b.Fail("want an output with another name than %q, which the main output has", outputMain)
	}
	b.Output(outputMain, main)
	for _, name := range slices.Sorted(maps.Keys(pass.Outputs)) {
		b.Output(name, pass.Outputs[name])
	}
	for _, slot := range slices.Sorted(maps.Keys(pass.Stats)) {
		b.Update(slot, pass.Stats[slot])
	}
	p, err := b.Program()
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return p, nil
}

// onlyUpdates returns p without its outputs and the instructions that only they need; nil if p has
// no updates.
func onlyUpdates(p *graph.Program) (*graph.Program, error) {
	if len(p.Updates) == 0 {
		return nil, nil
	}
	b := graph.NewBuilder()
	inputs := make([]graph.Node, len(p.Inputs))
	for i, in := range p.Inputs {
		t := p.Types[in.ID]
		inputs[i] = b.Input(in.Name, t.DType, t.Shape)
	}
	_, updates := b.Inline(p, inputs, nil)
	for _, u := range p.Updates {
		b.Update(u.Slot, updates[u.Slot])
	}
	return b.Program()
}

// reset builds the program that sets statistics to the values of their Init. It is an error if a
// statistic does not have the same value in all elements.
func reset(stats []nn.Decl) (*graph.Program, error) {
	stats = slices.Clone(stats)
	for i := range stats {
		stats[i].Initial = array.Tensor{}
	}
	initial, err := nn.Initial(stats, 0)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	b := graph.NewBuilder()
	for _, d := range stats {
		v := initial[d.Name].F32()
		if slices.ContainsFunc(v, func(x float32) bool { return x != v[0] }) {
			return nil, fmt.Errorf("model: statistic %s: want one initial value throughout (nn.Constant)", d.Name)
		}
		b.Slot(d.Slot)
		b.Update(d.Name, b.Const(d.DType, float64(v[0]), d.Shape))
	}
	return b.Program()
}

// replaced returns p with the programs of a level, by name, in place of those that it has.
func (p programs) replaced(by map[string]*graph.Program) (programs, error) {
	if q := by[programInfer]; q != nil {
		p.infer = q
	}
	if q := by[programReset]; q != nil {
		p.reset = q
	}
	if q := by[programTune]; q != nil {
		p.tune = q
	}
	if q := by[programTrain]; q != nil {
		var err error
		p.train = q
		if p.tune, err = onlyUpdates(q); err != nil {
			return p, fmt.Errorf("program %q: %w", programTrain, err)
		}
	}
	return p, nil
}

// check returns an error unless the programs, which may be those of a file, have the inputs,
// outputs and updates that the comments of the fields state.
func (p programs) check() error {
	if len(p.infer.Inputs) == 0 || len(p.infer.Outputs) == 0 || len(p.infer.Updates) != 0 {
		return fmt.Errorf("program %q: want inputs, outputs and no update, got %d, %d and %d",
			programInfer, len(p.infer.Inputs), len(p.infer.Outputs), len(p.infer.Updates))
	}
	if (p.tune == nil) != (p.reset == nil) {
		return errors.New("want both or neither of a program that updates the statistics and one that resets them")
	}
	if p.reset != nil && (len(p.reset.Inputs) != 0 || len(p.reset.Outputs) != 0) {
		return fmt.Errorf("program %q: want no inputs and no outputs, got %d and %d",
			programReset, len(p.reset.Inputs), len(p.reset.Outputs))
	}
	if p.train != nil {
		if err := checkTraining(programTrain, p.train, p.infer, p.infer.Outputs); err != nil {
			return err
		}
	}
	if p.tune != nil {
		return checkTraining(programTune, p.tune, p.infer, nil)
	}
	return nil
}

// checkTraining returns an error unless p has the inputs of infer and a key as inputs, and the
// given outputs of infer as outputs.
func checkTraining(name string, p, infer *graph.Program, outputs []graph.Port) error {
	key := graph.Type{DType: array.I64, Shape: graph.Of(2)}
	if n := len(infer.Inputs); len(p.Inputs) != n+1 || !p.Types[p.Inputs[n].ID].Equal(key) {
		return fmt.Errorf("program %q: want the inputs of %q and a key %v, got %v", name, programInfer, key, p.Inputs)
	}
	for i, in := range infer.Inputs {
		if got := p.Inputs[i]; got.Name != in.Name || !p.Types[got.ID].Equal(infer.Types[in.ID]) {
			return fmt.Errorf("program %q: want the input %s %v, got %s %v", name, in.Name, infer.Types[in.ID], got.Name, p.Types[got.ID])
		}
	}
	if len(p.Outputs) != len(outputs) {
		return fmt.Errorf("program %q: want %d outputs, got %d", name, len(outputs), len(p.Outputs))
	}
	for i, out := range outputs {
		if got := p.Outputs[i]; got.Name != out.Name || !p.Types[got.ID].Equal(infer.Types[out.ID]) {
			return fmt.Errorf("program %q: want the output %s %v, got %s %v",
				name, out.Name, infer.Types[out.ID], got.Name, p.Types[got.ID])
		}
	}
	return nil
}

// checkPorts returns an error unless the ports of info, which may be that of a file or a caller,
// are the inputs and outputs of the program infer.
func (p programs) checkPorts(info Info) error {
	for _, side := range []struct {
		what      string
		described []Port
		ports     []graph.Port
	}{{"inputs", info.Inputs, p.infer.Inputs}, {"outputs", info.Outputs, p.infer.Outputs}} {
		if len(side.described) != len(side.ports) {
			return fmt.Errorf("program %q has %d %s, the description has %d", programInfer, len(side.ports), side.what, len(side.described))
		}
		for i, q := range side.ports {
			d, t := side.described[i], p.infer.Types[q.ID]
			if d.Name != q.Name || !t.Equal(graph.Type{DType: d.DType, Shape: d.Shape}) {
				return fmt.Errorf("program %q: want %s as described, got %s %v where the description has %s %v%v",
					programInfer, side.what, q.Name, t, d.Name, d.DType, d.Shape)
			}
		}
	}
	return nil
}

// describe returns info with ports for all inputs and outputs of the program infer. Names, dtypes
// and shapes that are empty in info are those of the program.
func (p programs) describe(info Info) Info {
	info.Inputs = ports(info.Inputs, p.infer, p.infer.Inputs)
	info.Outputs = ports(info.Outputs, p.infer, p.infer.Outputs)
	return info
}

func ports(given []Port, p *graph.Program, of []graph.Port) []Port {
	out := slices.Clone(given)
	for i, g := range of {
		if i == len(out) {
			out = append(out, Port{})
		}
		t := p.Types[g.ID]
		if out[i].Name == "" {
			out[i].Name = g.Name
		}
		if out[i].DType == array.InvalidDType {
			out[i].DType = t.DType
		}
		if out[i].Shape == nil {
			out[i].Shape = t.Shape
		}
	}
	return out
}

// checkTensors returns an error unless tensors, which may be those of a file, have a value for
// every slot of the programs.
func (p programs) checkTensors(tensors map[string]array.Value) error {
	for _, program := range []*graph.Program{p.infer, p.train, p.tune, p.reset} {
		if program == nil {
			continue
		}
		for _, s := range program.Slots {
			dims, _ := s.Shape.Dims()
			if v, ok := tensors[s.Name]; !ok || v.DType != s.DType || !slices.Equal(v.Dims, dims) {
				return fmt.Errorf("tensor %s: want %v, got %v%v", s.Name, s.Type, v.DType, v.Dims)
			}
		}
	}
	return nil
}

// fields returns the inputs of the program infer as fields of examples.
func (p programs) fields() []graph.Field {
	fields := make([]graph.Field, len(p.infer.Inputs))
	for i, in := range p.infer.Inputs {
		t := p.infer.Types[in.ID]
		if len(t.Shape) > 0 {
			t.Shape = t.Shape[1:]
		}
		fields[i] = graph.Field{Name: in.Name, Type: t}
	}
	return fields
}
