package cpu

import (
	"fmt"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func lowerMatMul(l *lowering, i graph.Instr) error {
	name := fmt.Sprintf("%s: matmul %v", l.nameOf(i.In[1]), l.program.Types[i.Out[0]].Shape)
	if _, err := l.choose(name, "packed"); err != nil {
		return err
	}
	_, frozen := l.frozenOf(i.In[1])
	l.emit(name, matmul{i.Attr.(graph.MatMulAttr), frozen}, l.plainAll(i.In), []valueID{l.define(i.Out[0], plain)})
	return nil
}

// matmul multiplies the matrices in the last two axes. With frozen weights an example's result does not depend on the batch that it comes in.
type matmul struct {
	attr   graph.MatMulAttr
	frozen bool
}

// tileFLOPs is about the least work that is worth a tile of its own.
const tileFLOPs = 1 << 21

func (m matmul) phases(b *binding, s *step) ([]phase, error) {
	dims, dx := b.dims[s.out[0]], b.dims[s.in[0]]
	r := len(dims)
	shape := kernels.MatMul{M: dims[r-2], N: dims[r-1], K: dx[r-1], TransA: m.attr.TransA, TransB: m.attr.TransB, EachRow: m.frozen}
	if m.attr.TransA {
		shape.K = dx[r-2]
	}
	shape.LDA, shape.LDB, shape.LDC = shape.K, shape.N, shape.N
	if m.attr.TransA {
		shape.LDA = shape.M
	}
	if m.attr.TransB {
		shape.LDB = shape.K
	}
	x, y, z := b.buf(s.in[0]), b.buf(s.in[1]), b.buf(s.out[0])
	batch := array.Count(dims[:r-2])
	flops := 2 * float64(shape.M) * float64(shape.N) * float64(shape.K)
	long := max(shape.M, shape.N)
	cuts := max(1, min(int(flops/tileFLOPs), (long+15)/16, (4*b.threads+batch-1)/batch))
	return []phase{{
		items: batch * cuts, cost: flops / 32 / float64(cuts), scratch: shape.Scratch(), whole: []bufID{x, y}, writes: []bufID{z},
		run: func(f *frame, w, i0, i1 int) error {
			for i := i0; i < i1; i++ {
				k, cut := i/cuts, i%cuts
				t := shape.Whole()
				from, to := long*cut/cuts, long*(cut+1)/cuts
				if shape.M >= shape.N {
					t.I0, t.I1 = from, to
				} else {
					t.J0, t.J1 = from, to
				}
				f.level.MatMul(shape, f.all(z)[k*shape.M*shape.N:][:shape.M*shape.N], f.all(x)[k*shape.M*shape.K:][:shape.M*shape.K],
					f.all(y)[k*shape.K*shape.N:][:shape.K*shape.N], f.scratch[w], t)
			}
			return nil
		},
	}}, nil
}
