package step

import (
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// A segment is a part of a step: a program or, if program is nil, a call of a compressor that has
// no graph form. The inputs of the call are outputs of the program before it, and its results are
// inputs of the program after it.
type segment struct {
	program *graph.Program
	inputs  []port // of program, in order
	outputs []port // of program, in order

	host  compress.Compressor
	masks bool // the result has a mask for each compressed weight, because masks are reused
}

// A port is the value of a step that an input or an output of a program has.
type port struct {
	kind  portKind
	index int // of the input, the target or the parameter
}

type portKind uint8

const (
	portInput  portKind = iota // a field of the batch
	portTarget                 // a field of the batch
	portLR                     // learning rate, a scalar
	portStep                   // number of the step, 1 at the first, a scalar
	portKey                    // key of the random numbers
	portAt                     // a parameter at the point, before compression
	portValue                  // a parameter after compression
	portMask                   // the mask of a parameter
	portClean                  // the main output of the clean pass
	portLoss                   // the loss at the weights before the step
)

// The names of the inputs that are not fields.
const (
	inputLR   = "lr"
	inputStep = "step"
	inputKey  = "key"
	clean     = "clean"
)

// A Feed has the values of one step: batch, learning rate, number of the step and key of the random
// numbers, and the values that pass between segments.
type Feed struct {
	inputs, targets   []array.Tensor
	lr, step, key     array.Tensor
	at, values, masks []array.Tensor // by parameter
	clean, loss       array.Tensor
}

// Feed returns the feed of step i, which counts from 0, with the tensors of a batch, in the order
// of the fields.
func (r *Recipe) Feed(inputs, targets []array.Tensor, lr float64, i int, seed uint64) (*Feed, error) {
	f := &Feed{inputs: inputs, targets: targets, at: make([]array.Tensor, len(r.Params))}
	var err error
	if f.lr, err = array.Scalar(r.float, lr); err != nil {
		return nil, err
	}
	if f.step, err = array.Scalar(r.float, float64(i+1)); err != nil {
		return nil, err
	}
	f.key, err = array.From([]int64{int64(seed), int64(i)})
	return f, err
}

// value returns the variable with the value of a port.
func (f *Feed) value(p port) *array.Tensor {
	switch p.kind {
	case portInput:
		return &f.inputs[p.index]
	case portTarget:
		return &f.targets[p.index]
	case portLR:
		return &f.lr
	case portStep:
		return &f.step
	case portKey:
		return &f.key
	case portAt:
		return &f.at[p.index]
	case portValue:
		return &f.values[p.index]
	case portMask:
		return &f.masks[p.index]
	case portClean:
		return &f.clean
	default:
		return &f.loss
	}
}
