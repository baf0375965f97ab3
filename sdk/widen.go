package sdk

import (
	"fmt"
	"maps"

	"github.com/compressaware/cram/sdk/array"
)

// widen returns the tensors with those that a file stores in 16 bits, or as quantized integers, in
// the float32 that the slots of the programs want, and the stored types of those.
func (p programs) widen(tensors map[string]array.Value) (map[string]array.Value, map[string]array.DType, error) {
	wide, stored := maps.Clone(tensors), map[string]array.DType{}
	for _, s := range p.infer.Slots {
		v := tensors[s.Name]
		narrow := v.DType == array.F16 || v.DType == array.BF16 || v.Quantization != nil
		if s.DType != array.F32 || !narrow {
			continue
		}
		var err error
		if wide[s.Name], err = v.Cast(array.F32); err != nil {
			return nil, nil, fmt.Errorf("tensor %s: %w", s.Name, err)
		}
		stored[s.Name] = v.DType
	}
	return wide, stored, nil
}

// Widened returns the weights that the file stores in 16 bits or as quantized integers, with their
// types there. The network computes with them as float32. It is empty for a network that no file was
// opened for. The result must not be changed.
func (n *Network) Widened(levelName string) (map[string]array.DType, error) {
	l, err := n.level(levelName)
	if err != nil {
		return nil, fmt.Errorf("sdk: Widened: %w", err)
	}
	return l.widened, nil
}

// Widened is [Network.Widened] of the level that the Predictor serves.
func (p *Predictor) Widened() map[string]array.DType {
	if p.empty() {
		return nil
	}
	return p.widened
}
