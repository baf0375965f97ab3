package sdk

import (
	"fmt"
	"maps"
	"slices"

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
	x := b.Input(inputX, graph.F32, input)
	pass := nn.NewPass(b, mode)
	if mode == nn.Train {
		pass.Key = b.Input(inputKey, graph.I64, graph.Of(2))
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
