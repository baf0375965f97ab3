package compress

import "github.com/compressaware/cram/sdk/graph"

// Metas returns what a compressor may know of each parameter of a program: of its slots of kind [graph.Param], in the order
// in which the program declares them, which for a traced model is the order of its forward pass.
func Metas(p *graph.Program) []Meta {
	if p == nil {
		return nil
	}
	var out []Meta
	first, last := -1, -1
	for _, s := range p.Slots {
		if s.Kind != graph.Param {
			continue
		}
		if s.Role == graph.Kernel {
			if last = len(out); first < 0 {
				first = last
			}
		}
		dims, _ := s.Shape.Dims() // slots have constant shapes
		out = append(out, Meta{Name: s.Name, Role: s.Role, Dims: dims})
	}
	if first >= 0 {
		out[first].First, out[last].Last = true, true
	}
	return out
}
