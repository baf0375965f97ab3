package sdk

import (
	"errors"
	"fmt"
	"strings"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// weightMetas describes the parameters among slots to a compressor, in the order of slots. For the
// slots of a traced model that is the order of its forward pass.
func weightMetas(slots []graph.Slot) []compress.Meta {
	var out []compress.Meta
	first, last := -1, -1
	for _, s := range slots {
		if s.Kind != graph.Param {
			continue
		}
		if s.Role == graph.Kernel {
			if last = len(out); first < 0 {
				first = last
			}
		}
		dims, _ := s.Shape.Dims() // slots have constant shapes
		out = append(out, compress.Meta{Name: s.Name, Role: s.Role, Dims: dims})
	}
	if first >= 0 {
		out[first].First, out[last].Last = true, true
	}
	return out
}

// checkCompressor returns an error if c is nil or its settings are out of range.
func checkCompressor(c compress.Compressor) error {
	if c == nil {
		return errors.New("the compressor is nil; give one, for example compress.TopK(0.9)")
	}
	checked, ok := c.(interface{ Check() error })
	if !ok {
		return nil
	}
	err := checked.Check()
	if err == nil || strings.Contains(err.Error(), c.String()) {
		return err
	}
	return fmt.Errorf("%v: %w", c, err)
}
