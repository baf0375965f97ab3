package sdk

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// Model returns the network as a model that can be trained again, alone or as a part of another
// model. Its parameters and statistics have the names of the file. Their initial values are those
// of the only level, or of the level "dense" if there are several. Normalization of the input is
// part of the model, so Trainer.Normalize remains empty.
//
// A file of version 1 has no program for training. The program is then derived from that of
// inference, with a momentum of 0.1 for the running statistics and without dropout.
//
// It is an error if the file does not reset each statistic that training moves to one constant.
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
	m := &programModel{n, own, tensors}
	for _, u := range own.train.Updates {
		if _, ok := m.resetValue(u.Slot); !ok {
			return nil, fmt.Errorf("sdk: Model: level %s: program %q: want a constant for the statistic %s", l.name, programReset, u.Slot)
		}
	}
	return m, nil
}

// programModel is a network as a model.
type programModel struct {
	network  *Network
	programs programs                // of one level
	values   map[string]array.Tensor // of its parameters and statistics at first
}

// networkOf returns the network of a model that [Network.Model] has made; nil for any other model.
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
			p.Fail("sdk: Model: want a key in a training pass, got none")
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

// declare declares a slot of the network in the pass. The Init of a statistic is its value after
// the program reset.
func (m *programModel) declare(p *nn.Pass, s graph.Slot) graph.Node {
	dims, _ := s.Shape.Dims()
	var n graph.Node
	if s.Kind == graph.Stat {
		value, _ := m.resetValue(s.Name)
		n = p.Stat(s.Name, nn.Constant(value), dims...)
	} else {
		n = p.Param(s.Name, s.Role, nn.Constant(0), dims...)
	}
	p.SetInitial(s.Name, m.values[s.Name])
	return n
}

// resetValue returns the constant to which the program reset sets a statistic, and whether there is
// one.
func (m *programModel) resetValue(slot string) (float64, bool) {
	r := m.programs.reset
	if r == nil {
		return 0, false
	}
	for _, u := range r.Updates {
		for _, i := range r.Code {
			if c, ok := i.Attr.(graph.ConstAttr); ok && u.Slot == slot && i.Out[0] == u.ID {
				return c.Value, true
			}
		}
	}
	return 0, false
}
