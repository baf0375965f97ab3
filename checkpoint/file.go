package checkpoint

import (
	"errors"
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A File is the content of a checkpoint.
type File struct {
	Info     Info
	Programs map[string]*graph.Program // by purpose: "infer", "tune", "reset"
	Levels   []Level                   // in the order in which they are listed to people
	State    *State                    // nil: not in training
}

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
	// Classes are the names of the classes, in the order of the last axis. Empty: they have no names.
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

// A Level is the network at one sparsity: a value for each of its slots, parameters and running statistics alike.
// A tensor may differ in type and extents between levels, and then shares nothing.
type Level struct {
	Name    string // the text of the compressor that made it, "topk:0.9", or "dense"
	Tensors map[string]array.Value
	// Programs replace the file's programs of the same names at this level. Empty: none does.
	Programs map[string]*graph.Program
	Notes    map[string]string // what is worth telling: which weights stayed dense and why
}

// State is what resumes a training, beside the tensors of its level.
type State struct {
	Ints    map[string]int64       // "step", "epoch"
	Tensors map[string]array.Value // moments of the update rule, reused masks
}

// Bounds of a file. A reader refuses what is beyond them, and so does a writer.
const (
	maxHeader  = 4 << 20
	maxLines   = 1 << 17 // of all lists and maps of the header, parts of a tensor and extents aside
	maxLevels  = 64
	maxRank    = 16
	maxText    = 64 << 10 // bytes of one text of Meta
	chunkBytes = 128 << 20
)

// check returns an error unless all values of f are consistent. Names and bounds are checked on the header.
func (f *File) check() error {
	if f == nil {
		return errors.New("checkpoint: the File is nil")
	}
	if len(f.Info.Inputs) > 1 || len(f.Info.Outputs) > 1 || len(f.Info.Steps) > 0 {
		return errors.New("checkpoint: version 1 of the format stores one input, one output and no steps")
	}
	for _, l := range f.Levels {
		if len(l.Programs) > 0 {
			return fmt.Errorf("checkpoint: level %q has programs, which version 1 of the format does not store", l.Name)
		}
		if err := checkTensors(l.Tensors); err != nil {
			return fmt.Errorf("checkpoint: level %q, %w", l.Name, err)
		}
	}
	if f.State != nil {
		if err := checkTensors(f.State.Tensors); err != nil {
			return fmt.Errorf("checkpoint: state, %w", err)
		}
	}
	return nil
}

func checkTensors(tensors map[string]array.Value) error {
	names := sortedKeys(tensors)
	return each(len(names), func(i int) error {
		if err := tensors[names[i]].Check(); err != nil {
			return fmt.Errorf("tensor %q: %w", names[i], err)
		}
		return nil
	})
}
