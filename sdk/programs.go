package sdk

import (
	"fmt"
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// programs are what a network carries, so that neither serving nor later compression needs model code.
type programs struct {
	infer *graph.Program // input x, raw examples; output logits, by the running statistics
	tune  *graph.Program // inputs x and key: a training pass whose one effect is to move the running statistics; nil when there are none
	reset *graph.Program // gives the running statistics their initial values; nil when there are none
}

const outputLogits = "logits"

// check returns an error unless the programs, which may come from a file, are what programs says.
func (p programs) check(input Port) error {
	want := graph.Type{DType: array.F32, Shape: input.Shape}
	switch i := p.infer; {
	case len(i.Inputs) != 1 || len(i.Outputs) != 1 || len(i.Updates) != 0:
		return fmt.Errorf("program %q has %d inputs, %d outputs and %d updates, want 1, 1 and none", programInfer, len(i.Inputs), len(i.Outputs), len(i.Updates))
	case !i.Types[i.Inputs[0].ID].Equal(want):
		return fmt.Errorf("program %q wants input %v, the file says %v", programInfer, i.Types[i.Inputs[0].ID], want)
	case i.Types[i.Outputs[0].ID].DType != array.F32:
		return fmt.Errorf("program %q answers with %v, want f32", programInfer, i.Types[i.Outputs[0].ID])
	}
	if (p.tune == nil) != (p.reset == nil) {
		return fmt.Errorf("want both or none of the programs %q and %q", programTune, programReset)
	}
	if t := p.tune; t != nil && (len(t.Inputs) != 2 || !t.Types[t.Inputs[0].ID].Equal(want)) {
		return fmt.Errorf("program %q has inputs %v, want x %v and a key", programTune, t.Inputs, want)
	}
	return nil
}

// describe returns info with ports for all inputs and outputs of the program infer. What a port of
// info leaves empty is the program's.
func (p programs) describe(info Info) Info {
	if p.infer != nil {
		info.Inputs = ports(info.Inputs, p.infer, p.infer.Inputs)
		info.Outputs = ports(info.Outputs, p.infer, p.infer.Outputs)
	}
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

// replaced returns p with the given programs of a level, by name, in place of its own.
func (p programs) replaced(by map[string]*graph.Program) programs {
	for name, to := range map[string]**graph.Program{programInfer: &p.infer, programTune: &p.tune, programReset: &p.reset} {
		if q := by[name]; q != nil {
			*to = q
		}
	}
	return p
}

// fit returns an error unless tensors, which may come from a file, hold a value for every slot of the programs.
func (p programs) fit(tensors map[string]array.Value) error {
	for _, program := range []*graph.Program{p.infer, p.tune, p.reset} {
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

func trace(model nn.Model, input graph.Shape, stats []nn.Decl) (programs, error) {
	var p programs
	var err error
	if p.infer, err = build(model, input, nn.Infer); err != nil || len(stats) == 0 {
		return p, err
	}
	if p.tune, err = build(model, input, nn.Train); err != nil {
		return p, err
	}
	p.reset, err = reset(stats)
	return p, err
}

// reset builds the program that gives statistics their initial values, each of which must be one number throughout.
func reset(stats []nn.Decl) (*graph.Program, error) {
	initial, err := nn.Initial(stats, 0)
	if err != nil {
		return nil, fmt.Errorf("sdk: model: %w", err)
	}
	b := graph.NewBuilder()
	for _, d := range stats {
		v := initial[d.Name].F32()
		if slices.ContainsFunc(v, func(x float32) bool { return x != v[0] }) {
			return nil, fmt.Errorf("sdk: model: statistic %s must begin as one number throughout (nn.Constant)", d.Name)
		}
		b.Slot(d.Slot)
		b.Update(d.Name, b.Const(d.DType, float64(v[0]), d.Shape))
	}
	return b.Program()
}

func build(model nn.Model, input graph.Shape, mode nn.Mode) (*graph.Program, error) {
	b := graph.NewBuilder()
	x := b.Input(inputX, array.F32, input)
	pass := nn.NewPass(b, mode)
	if mode == nn.Train {
		pass.Key = b.Input(inputKey, array.I64, graph.Of(2))
	}
	y := model.Forward(pass, x)
	if mode == nn.Infer {
		b.Output(outputLogits, y)
	}
	if mode == nn.Train {
		for _, slot := range slices.Sorted(maps.Keys(pass.Stats)) {
			b.Update(slot, pass.Stats[slot])
		}
	}
	p, err := b.Program()
	if err != nil {
		return nil, fmt.Errorf("sdk: model: %w", err)
	}
	return p, nil
}
