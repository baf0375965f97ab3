package sdk

import (
	"fmt"
	"maps"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// widen converts tensors that a file stores in fewer bits to F32, the dtype of the slots: 16-bit
// floats exactly, 8-bit integers by their quantization.
func (p programs) widen(tensors map[string]array.Value) (map[string]array.Value, error) {
	wide := maps.Clone(tensors)
	for _, program := range []*graph.Program{p.infer, p.train, p.tune, p.reset} {
		if program == nil {
			continue
		}
		for _, s := range program.Slots {
			v := wide[s.Name]
			half := v.DType == array.F16 || v.DType == array.BF16
			if s.DType != array.F32 || !half && v.Quantization == nil {
				continue
			}
			var err error
			if wide[s.Name], err = v.Cast(array.F32); err != nil {
				return nil, fmt.Errorf("tensor %s: %w", s.Name, err)
			}
		}
	}
	return wide, nil
}
