package checkpoint

import (
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Info describes a network: how it was made, which tensors it takes and returns, and how raw data
// becomes such tensors. It contains no clock times, so equal trainings give equal files.
type Info struct {
	// Model is the name of the architecture, such as "resnet20".
	Model string
	// Recipe describes the training: method, optimizer, schedule, and so on.
	Recipe string
	// Data is the name of the training data.
	Data string
	// Seed is the seed of the training.
	Seed uint64
	// Versions are the versions of the software by name: "cram", "go", "backend".
	Versions map[string]string
	// Inputs are the tensors that the program "infer" takes, the main one first.
	Inputs []Port
	// Outputs are the tensors that the program "infer" returns, the main one first.
	Outputs []Port
	// Steps process raw data before the network, or its outputs after it, in this order.
	Steps []Step
	// Extra holds anything else.
	Extra map[string]string
}

// Input returns the main input, and a zero Port when there is none.
func (i Info) Input() Port { return first(i.Inputs) }

// Output returns the main output, and a zero Port when there is none.
func (i Info) Output() Port { return first(i.Outputs) }

func first(ports []Port) Port {
	if len(ports) == 0 {
		return Port{}
	}
	return ports[0]
}

// A Port is one named tensor that a network takes or returns.
type Port struct {
	// Name is unique among the inputs, or among the outputs.
	Name  string
	DType array.DType
	// Shape begins with the batch axis N. Other dimensions may be symbolic, too.
	Shape graph.Shape
	// Mean and Std are those of each channel in the training data; the network normalises by them.
	// Empty: it does not normalise.
	Mean, Std []float32
	// Classes are the names of the classes, in the order of the last axis. Empty: they have no
	// names.
	Classes []string
}

// Example returns the dimensions of one example: Shape without its batch axis. It returns nil when
// Shape is empty, or when one of these dimensions is symbolic.
func (p Port) Example() []int {
	if len(p.Shape) == 0 {
		return nil
	}
	dims, _ := p.Shape[1:].Dims()
	return dims
}

// A Step is processing on the host: of raw data before the network, or of an output after it.
// Its kind states what the settings and the tensors mean. A file keeps a step whose kind is
// unknown; software that has to run the step refuses it.
type Step struct {
	// Kind is the kind of processing, such as "image" or "wordpiece".
	Kind string
	// Port is the name of the input that the step makes, or of the output that it reads.
	Port     string
	Settings map[string]string
	// Tensors is bulk data by name, such as a vocabulary.
	Tensors map[string]array.Value
}

func (i Info) clone() Info {
	i.Versions, i.Extra = maps.Clone(i.Versions), maps.Clone(i.Extra)
	i.Inputs, i.Outputs = clonePorts(i.Inputs), clonePorts(i.Outputs)
	i.Steps = slices.Clone(i.Steps)
	for k, s := range i.Steps {
		i.Steps[k].Settings = maps.Clone(s.Settings)
	}
	return i
}

func clonePorts(ports []Port) []Port {
	ports = slices.Clone(ports)
	for i, p := range ports {
		ports[i].Shape, ports[i].Classes = slices.Clone(p.Shape), slices.Clone(p.Classes)
		ports[i].Mean, ports[i].Std = slices.Clone(p.Mean), slices.Clone(p.Std)
	}
	return ports
}
