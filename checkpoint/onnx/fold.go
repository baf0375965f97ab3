package onnx

import (
	"errors"
	"fmt"
)

var errNoProgram = errors.New("onnx: fold: want a model with a program, got none")

// Fold returns m with its batch norms merged into the convolutions before them, as
// [graph.Program.FoldBatchNorm] does. m is not changed.
func Fold(m Model) (Model, error) {
	if m.Program == nil {
		return m, errNoProgram
	}
	var err error
	if m.Program, m.Tensors, err = m.Program.FoldBatchNorm(m.Tensors); err != nil {
		return m, fmt.Errorf("onnx: fold: %w", err)
	}
	return m, nil
}
