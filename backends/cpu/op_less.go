package cpu

import (
	"github.com/compressaware/cram/sdk/graph"

	"github.com/compressaware/cram/sdk/array"
)

func lowerLess(l *lowering, i graph.Instr) error {
	l.emit("less", less{}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// less writes the mask of x < y.
type less struct{}

func (less) phases(b *binding, s *step) ([]phase, error) {
	x, y, to := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	d, n := b.values[s.in[0]].typ.DType, b.count(s.out[0])
	return []phase{{items: tiles(n), cost: 4 * tile, whole: []bufID{x, y}, writes: []bufID{to}, run: func(f *frame, _, i0, i1 int) error {
		mask, u, v := f.tensor(to, array.Bit), f.tensor(x, d), f.tensor(y, d)
		from, end := i0*tile, min(i1*tile, n)
		clear(mask.Data[from/8 : (end+7)/8])
		if d == array.F32 {
			a, b := u.F32(), v.F32()
			for i := from; i < end; i++ {
				if a[i] < b[i] {
					mask.SetBit(i)
				}
			}
			return nil
		}
		for i := from; i < end; i++ {
			if intAt(u, i) < intAt(v, i) {
				mask.SetBit(i)
			}
		}
		return nil
	}}}, nil
}
