package graph

import "github.com/compressaware/cram/sdk/array"

// WithFloat returns a copy of p in which every value of type F32 has the float type d instead.
// Tests run programs in F64 with it.
func (p *Program) WithFloat(d array.DType) (*Program, error) {
	swap := func(t *array.DType) {
		if *t == array.F32 {
			*t = d
		}
	}
	return p.rewrite(rule{replace: func(r *rewriter, i Instr, _ match) []Node {
		switch a := i.Attr.(type) {
		case SourceAttr:
			swap(&a.DType)
			i.Attr = a
		case ConstAttr:
			swap(&a.DType)
			i.Attr = a
		case UniformAttr:
			swap(&a.DType)
			i.Attr = a
		case CastAttr:
			swap(&a.DType)
			i.Attr = a
		}
		return r.emit(i.Op, i.Attr, at(r.values, i.In)...)
	}})
}
