package cpu

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func lowerGather(l *lowering, i graph.Instr) error {
	l.emit("gather", gather{}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// gather picks rows of a table: operands table, index.
type gather struct{}

func (gather) phases(b *binding, s *step) ([]phase, error) {
	table, index, y := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	d, n := b.values[s.in[0]].typ.DType, b.count(s.in[1])
	rows, width := b.dims[s.in[0]][0], array.Count(b.dims[s.in[0]][1:])
	return []phase{{items: 1, cost: float64(n * width), whole: []bufID{table, index}, writes: []bufID{y}, run: func(f *frame, _, _, _ int) error {
		from, to := f.tensor(table, d), f.tensor(y, d)
		if d == array.Bit {
			clear(to.Data)
		}
		for i, r := range f.tensor(index, array.I32).I32() {
			if err := checkIndex("gather", i, r, rows); err != nil {
				return err
			}
			move{shape: []int{width}, from: []int{1}, to: []int{1}, fromAt: int(r) * width, toAt: i * width}.run(to, from)
		}
		return nil
	}}}, nil
}

func checkIndex(op string, n int, index int32, rows int) error {
	if index < 0 || int(index) >= rows {
		return fmt.Errorf("%s: index %d at position %d is not in [0, %d)", op, index, n, rows)
	}
	return nil
}

func lowerScatterAdd(l *lowering, i graph.Instr) error {
	l.emit("scatter_add", scatterAdd{}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// scatterAdd adds the rows of src to a table of zeros at index, in order.
type scatterAdd struct{}

func (scatterAdd) phases(b *binding, s *step) ([]phase, error) {
	src, index, y := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	n, rows := b.count(s.in[1]), b.dims[s.out[0]][0]
	width := array.Count(b.dims[s.out[0]][1:])
	return []phase{{items: 1, cost: float64(n * width), whole: []bufID{src, index}, writes: []bufID{y}, run: func(f *frame, _, _, _ int) error {
		to := f.all(y)
		clear(to)
		for i, r := range f.tensor(index, array.I32).I32() {
			if err := checkIndex("scatter_add", i, r, rows); err != nil {
				return err
			}
			row := to[int(r)*width:][:width]
			f.isa.Add(row, row, f.all(src)[i*width:])
		}
		return nil
	}}}, nil
}
