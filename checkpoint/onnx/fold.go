package onnx

import (
	"errors"
	"fmt"
)

// Fold returns m with its batch norms merged into the convolutions before them, as
// [graph.Program.FoldBatchNorm] does. m is not changed.
func Fold(m Model) (Model, error) {
	if m.Program == nil {
		return m, errors.New("onnx: fold: the model has no program")
	}
	var err error
	if m.Program, m.Tensors, err = m.Program.FoldBatchNorm(m.Tensors); err != nil {
		return m, fmt.Errorf("onnx: fold: %w", err)
	}
	return m, nil
}
