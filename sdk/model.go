package sdk

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// Model returns the network as a model that can be trained again, on its own or as a part of
// another one. Its parameters and statistics have the names that they have in the file and begin
// with the values of the level "dense", or of the only level there is. Normalisation of the input
// is part of it: leave Trainer.Normalize empty.
//
// A file of version 1 holds no forward pass for training. It is derived from the program of inference,
// with a momentum of 0.1 for the running statistics and without dropout.
func (n *Network) Model() (nn.Model, error) {
	l, err := n.main()
	if err != nil {
		return nil, fmt.Errorf("sdk: Model: %w", err)
	}
	tensors, err := l.decode()
	if err != nil {
		return nil, fmt.Errorf("sdk: Model: %w", err)
	}
	own, err := n.programs.replaced(l.programs)
	if err != nil {
		return nil, fmt.Errorf("sdk: Model: level %s: %w", l.name, err)
	}
	if own.train == nil {
		if own.train, err = own.infer.TrainBatchNorm(0.1); err != nil {
			return nil, fmt.Errorf("sdk: Model: %w", err)
		}
	}
	return &programModel{n, own, tensors}, nil
}

// programModel is a network as a model.
type programModel struct {
	network  *Network
	programs programs                // of one level
	values   map[string]array.Tensor // of its parameters and statistics at first
}

// networkOf returns the network that a model is; nil for any other model.
func networkOf(m nn.Model) *Network {
	if n, ok := m.(normalized); ok {
		m = n.Model
	}
	if p, ok := m.(*programModel); ok {
		return p.network
	}
	return nil
}

// Forward appends the network to p.
func (m *programModel) Forward(p *nn.Pass, x graph.Node) graph.Node {
	program := m.programs.infer
	if p.Mode == nn.Train {
		program = m.programs.train
	}
	inputs := []graph.Node{x}
	for _, in := range m.programs.infer.Inputs[1:] {
		inputs = append(inputs, p.Input(in.Name))
	}
	if len(program.Inputs) > len(inputs) {
		if p.Key.None() {
			p.Fail("sdk: Model: a training pass of a network needs a key")
			return x
		}
		inputs = append(inputs, p.Key)
	}
	outputs, updates := p.Inline(program, inputs, func(s graph.Slot) graph.Node { return m.declare(p, s) })
	for _, u := range program.Updates {
		p.SetStat(u.Slot, updates[u.Slot])
	}
	for i, out := range program.Outputs[1:] {
		p.Output(out.Name, outputs[i+1])
	}
	return outputs[0]
}

// declare asks the pass for a slot of the network. The Init of a statistic is what its reset
// program gives it.
func (m *programModel) declare(p *nn.Pass, s graph.Slot) graph.Node {
	dims, _ := s.Shape.Dims()
	var n graph.Node
	if s.Kind == graph.Stat {
		n = p.Stat(s.Name, nn.Constant(m.resetValue(s.Name)), dims...)
	} else {
		n = p.Param(s.Name, s.Role, nn.Constant(0), dims...)
	}
	p.SetInitial(s.Name, m.values[s.Name])
	return n
}

// resetValue returns the constant that the program reset gives a statistic; 0 if there is none.
func (m *programModel) resetValue(slot string) float64 {
	r := m.programs.reset
	if r == nil {
		return 0
	}
	for _, u := range r.Updates {
		for _, i := range r.Code {
			if c, ok := i.Attr.(graph.ConstAttr); ok && u.Slot == slot && i.Out[0] == u.ID {
				return c.Value
			}
		}
	}
	return 0
}
