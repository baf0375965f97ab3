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

// Info says where a network comes from and what it wants to be fed. It holds no clock times: equal trainings give equal files.
type Info struct {
	Model    string            // "resnet20"
	Recipe   string            // how it was trained, in the words of the trainer
	Data     string            // name of the data set
	Seed     uint64            // of the training
	Versions map[string]string // of the software: "cram", "go", "backend"
	Input    Input
	Extra    map[string]string // anything else
}

// Input says what one example is, before the batch axis is added.
type Input struct {
	Shape     []int     // [3 32 32]
	Mean, Std []float32 // by channel, of the training data; empty: none
	Classes   []string  // names of the outputs; empty: unnamed
}

// A Level is the network at one sparsity: a value for each of its slots, parameters and running statistics alike.
// A tensor may differ in type and extents between levels, and then shares nothing.
type Level struct {
	Name    string // the text of the compressor that made it, "topk:0.9", or "dense"
	Tensors map[string]array.Value
	Notes   map[string]string // what is worth telling: which weights stayed dense and why
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
	for _, l := range f.Levels {
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
