package checkpoint

import (
	"fmt"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A File is the content of a checkpoint.
type File struct {
	Info Info
	// Programs are the programs by purpose: "infer", "train", "reset"; in files of version 1
	// "tune".
	Programs map[string]*graph.Program
	// Levels are in the order in which users see them.
	Levels []Level
	// State is that of a training in progress. nil: the file is not one of a training.
	State *State
}

// A Level is the network at one sparsity: a value for each of its slots, parameters and running
// statistics. Levels whose tensors of one name differ in dtype or dimensions do not share them.
type Level struct {
	// Name is the text of the compressor, such as "topk:0.9", or "dense".
	Name    string
	Tensors map[string]array.Value
	// Programs replace the file's programs of the same names at this level. They have the same
	// inputs and outputs. Empty: the level uses the file's programs.
	Programs map[string]*graph.Program
	// Activations are the quantizations of values that the programs compute, by name. The software
	// that runs the level defines the names. Empty: no value is quantized.
	Activations map[string]array.Quantization
	// Notes are for people, such as which weights a compressor kept dense and why.
	Notes map[string]string
}

// A State resumes a training, together with the tensors of its level.
type State struct {
	Ints    map[string]int64       // such as "step" and "epoch"
	Tensors map[string]array.Value // optimizer state and reused masks
}

// Limits of a file. Reader and Write refuse what exceeds them.
const (
	maxHeader = 4 << 20
	// of all lists and maps of the header; dimensions and numbers of parts do not count
	maxLines   = 1 << 17
	maxLevels  = 64
	maxRank    = 16
	maxText    = 64 << 10 // bytes of one text of Info
	chunkBytes = 128 << 20
)

// check returns an error unless all values of f are consistent. Write checks names and limits on
// the header.
func (f *File) check() error {
	for i, s := range f.Info.Steps {
		if err := checkTensors(s.Tensors); err != nil {
			return fmt.Errorf("checkpoint: step %d (%s), %w", i, s.Kind, err)
		}
	}
	for _, l := range f.Levels {
		if err := l.check(); err != nil {
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

func (l Level) check() error {
	if len(l.Activations) > maxLines {
		return fmt.Errorf("%d activations, the limit is %d", len(l.Activations), maxLines)
	}
	for _, name := range sortedKeys(l.Activations) {
		if err := pack.CheckName(name); err != nil {
			return fmt.Errorf("activation %q: %w", name, err)
		}
		if err := checkActivation(name, l.Activations[name]); err != nil {
			return fmt.Errorf("activation %q: %w", name, err)
		}
	}
	return checkTensors(l.Tensors)
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
