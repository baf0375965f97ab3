package graph

import "github.com/compressaware/cram/sdk/array"

// WithFloat returns a copy of p in which every value of type F32 has type d (F32 or F64 for running, BF16 or F16 for
// storage). Tests use it to run a program in double precision.
func (p *Program) WithFloat(d array.DType) (*Program, error) {
	if p == nil {
		return nil, errNoProgram
	}
	swap := func(t array.DType) array.DType {
		if t == array.F32 {
			return d
		}
		return t
	}
	q := *p
	q.Types = make([]Type, len(p.Types))
	for i, t := range p.Types {
		q.Types[i] = Type{swap(t.DType), t.Shape}
	}
	q.Slots = make([]Slot, len(p.Slots))
	for i, s := range p.Slots {
		s.DType = swap(s.DType)
		q.Slots[i] = s
	}
	q.Code = make([]Instr, len(p.Code))
	for k, i := range p.Code {
		switch a := i.Attr.(type) {
		case SourceAttr:
			a.DType = swap(a.DType)
			i.Attr = a
		case ConstAttr:
			a.DType = swap(a.DType)
			i.Attr = a
		case UniformAttr:
			a.DType = swap(a.DType)
			i.Attr = a
		case CastAttr:
			a.DType = swap(a.DType)
			i.Attr = a
		}
		q.Code[k] = i
	}
	return &q, q.Verify()
}
