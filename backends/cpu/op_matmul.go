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

// matmul multiplies the matrices in the last two axes. A row of the result does not depend on the
// other rows of the batch.
type matmul struct {
	attr   graph.MatMulAttr
	frozen bool
}

// tileFLOPs is about the least work of a tile.
const tileFLOPs = 1 << 21

func (m matmul) phases(b *binding, s *step) ([]phase, error) {
	dims, dx := b.dims[s.out[0]], b.dims[s.in[0]]
	r := len(dims)
	shape := kernels.MatMul{M: dims[r-2], N: dims[r-1], K: dx[r-1], TransA: m.attr.TransA, TransB: m.attr.TransB, EachRow: m.frozen, Packed: !m.frozen && b.varies(s.in[0])}
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
	scratch := shape.Scratch()
	overBatch := r == 2 && m.attr.TransA && !m.attr.TransB && b.varies(s.in[0]) && b.varies(s.in[1])
	t := b.batchOf(dx[0])
	inKernel := overBatch && shape.K <= kernels.MaxPartsK
	switch {
	case inKernel:
		shape.Part = t.size
		scratch = shape.Scratch()
	case overBatch:
		scratch = batchScratch(shape, t)
	}
	return []phase{{
		items: batch * cuts, cost: flops / 32 / float64(cuts), scratch: scratch, whole: []bufID{x, y}, writes: []bufID{z},
		run: func(f *frame, w, i0, i1 int) error {
			for i := i0; i < i1; i++ {
				k, cut := i/cuts, i%cuts
				tile := shape.Whole()
				from, to := long*cut/cuts, long*(cut+1)/cuts
				if shape.M >= shape.N {
					tile.I0, tile.I1 = from, to
				} else {
					tile.J0, tile.J1 = from, to
				}
				if overBatch && !inKernel {
					sumMatMul(f.isa, shape, t, f.all(z), f.all(x), f.all(y), f.scratch[w], tile)
					continue
				}
				f.isa.MatMul(shape, f.all(z)[k*shape.M*shape.N:][:shape.M*shape.N], f.all(x)[k*shape.M*shape.K:][:shape.M*shape.K],
					f.all(y)[k*shape.K*shape.N:][:shape.K*shape.N], f.scratch[w], tile)
			}
			return nil
		},
	}}, nil
}

// Rows and columns of a block of the product. sumMatMul sums one block over the batch, then the
// next.
const (
	sumRows    = 336
	sumColumns = 512
)

// batchScratch returns the number of floats of scratch memory of sumMatMul: the sums of parts of a
// block, and the scratch of the kernel.
func batchScratch(m kernels.MatMul, t batch) int {
	block := m
	block.M, block.N, block.K = min(m.M, sumRows), min(m.N, sumColumns), t.size
	return t.depth()*block.M*block.N + block.Scratch()
}

// sumMatMul computes a tile of z[m, n] = Σ_k x[k, m]·y[k, n], where k is the batch.
func sumMatMul(isa kernels.InstructionSet, m kernels.MatMul, t batch, z, x, y, scratch []float32, tile kernels.Tile) {
	sums := t.depth() * min(m.M, sumRows) * min(m.N, sumColumns)
	sums0, scratch := scratch[:sums], scratch[sums:]
	for i0 := tile.I0; i0 < tile.I1; i0 += sumRows {
		for j0 := tile.J0; j0 < tile.J1; j0 += sumColumns {
			block := m
			block.M, block.N = min(sumRows, tile.I1-i0), min(sumColumns, tile.J1-j0)
			block.LDC = block.N
			length := block.M * block.N
			sum := func(buffer int) []float32 { return sums0[buffer*length:][:length] }
			t.walk(func(p, buffer int) {
				k0, k1 := t.part(p)
				block.K = k1 - k0
				isa.MatMul(block, sum(buffer), x[k0*m.LDA+i0:], y[k0*m.LDB+j0:], scratch, block.Whole())
			}, func(into, from int) { isa.Add(sum(into), sum(into), sum(from)) })
			for i := range block.M {
				copy(z[(i0+i)*m.LDC+j0:][:block.N], sum(0)[i*block.N:])
			}
		}
	}
}
