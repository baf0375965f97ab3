package cpu

import (
	"math"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// magnitude orders float32 values by |x|: the bits of |x|, with one key for all NaN, above that of
// infinity.
func magnitude(x float32) int32 {
	return int32(min(math.Float32bits(x)&^(1<<31), 0x7f800001))
}

// magnitude64 is magnitude for float64.
func magnitude64(x float64) int64 {
	return int64(min(math.Float64bits(x)&^(1<<63), 0x7ff0000000000001))
}

func lowerTopK(l *lowering, i graph.Instr) error {
	l.emitMasks(i, topK{i.Attr.(graph.TopKAttr).K})
	return nil
}

func (l *lowering) emitMasks(i graph.Instr, op operator) {
	out := make([]valueID, len(i.Out))
	for k, id := range i.Out {
		out[k] = l.define(id, plain)
	}
	l.emit(string(i.Op), op, l.plainAll(i.In), out)
}

// topK keeps the largest magnitudes over all operands together.
type topK struct{ keep int }

func (op topK) phases(b *binding, s *step) ([]phase, error) {
	w, masks := b.bufs(s.in), b.bufs(s.out)
	sizes := make([]int, len(w))
	for k, v := range s.in {
		sizes[k] = b.count(v)
	}
	r := newRanking[int32](b, array.I32, []uint{11, 11, 9}, op.keep, sizes)
	ps := r.phases(w, func(f *frame, keys []int32, c rankChunk) {
		for i, v := range f.all(w[c.operand])[c.from:c.to] {
			keys[i] = magnitude(v)
		}
	})
	return append(ps, phase{items: len(r.chunks), cost: 2 * rankChunkLen, whole: r.results(), writes: masks, run: func(f *frame, _, i0, i1 int) error {
		for i := i0; i < i1; i++ {
			c := r.chunks[i]
			mask := f.bytes[masks[c.operand]][c.from/8 : (c.to+7)/8]
			clear(mask)
			r.kept(f, i, func(j int) { mask[j/8] |= 1 << (j % 8) })
		}
		return nil
	}}), nil
}

func lowerBlockMask(l *lowering, i graph.Instr) error {
	a := i.Attr.(graph.BlockAttr)
	l.emitMasks(i, blockMask{a.K, a.Size})
	return nil
}

// blockMask keeps the blocks of size rows by one column with the largest Σ|w|.
type blockMask struct{ keep, size int }

func (op blockMask) phases(b *binding, s *step) ([]phase, error) {
	w, masks := b.bufs(s.in), b.bufs(s.out)
	sizes, cols := make([]int, len(w)), make([]int, len(w))
	for k, v := range s.in {
		sizes[k], cols[k] = b.count(v)/op.size, array.Count(b.dims[v][1:])
	}
	r := newRanking[int64](b, array.I64, []uint{11, 11, 11, 11, 11, 8}, op.keep, sizes)
	ps := r.phases(w, func(f *frame, keys []int64, c rankChunk) {
		x := f.all(w[c.operand])
		for i := range keys {
			first, total := op.first(c.from+i, cols[c.operand]), 0.0
			for j := range op.size {
				total += math.Abs(float64(x[first+j*cols[c.operand]]))
			}
			keys[i] = magnitude64(total)
		}
	})
	return append(ps, phase{items: len(w), cost: float64(4 * r.total / len(w)), whole: r.results(), writes: masks, run: func(f *frame, _, i0, i1 int) error {
		// a byte of a mask has bits of several chunks, so an operand is one worker's
		for i, c := range r.chunks {
			if c.operand < i0 || c.operand >= i1 {
				continue
			}
			mask := array.Tensor{DType: array.Bit, Data: f.bytes[masks[c.operand]]}
			if c.from == 0 {
				clear(mask.Data)
			}
			r.kept(f, i, func(block int) {
				first := op.first(c.from+block, cols[c.operand])
				for j := range op.size {
					mask.SetBit(first + j*cols[c.operand])
				}
			})
		}
		return nil
	}}), nil
}

// first returns the position of the first element of a block in a matrix with that many columns.
func (op blockMask) first(block, cols int) int { return block/cols*op.size*cols + block%cols }

func lowerNM(l *lowering, i graph.Instr) error {
	a := i.Attr.(graph.NMAttr)
	l.emitMasks(i, nmMask{a.N, a.M, a.Axis})
	return nil
}

// nmMask keeps the n largest magnitudes of each m consecutive elements along an axis.
type nmMask struct{ n, m, axis int }

func (op nmMask) phases(b *binding, s *step) ([]phase, error) {
	x, to, dims := b.buf(s.in[0]), b.buf(s.out[0]), b.dims[s.in[0]]
	inner := array.Count(dims[op.axis+1:])
	n := array.Count(dims)
	each := 8 * op.m * inner // elements of an item: whole groups, and whole bytes of the mask
	return []phase{{items: (n + each - 1) / each, cost: float64(op.m * each), whole: []bufID{x}, writes: []bufID{to}, run: func(f *frame, _, i0, i1 int) error {
		w, mask := f.all(x), f.tensor(to, array.Bit)
		from, end := i0*each, min(i1*each, n)
		clear(mask.Data[from/8 : (end+7)/8])
		for first := from; first < end; first += op.m * inner {
			for j := range inner {
				op.mark(mask, w, first+j, inner)
			}
		}
		return nil
	}}}, nil
}

// mark sets the bits of the group that begins at first, its elements inner apart: those that fewer
// than n others outrank.
func (op nmMask) mark(mask array.Tensor, w []float32, first, inner int) {
	for j := range op.m {
		key, above := magnitude(w[first+j*inner]), 0
		for k := range op.m {
			other := magnitude(w[first+k*inner])
			if other > key || other == key && k < j {
				above++
			}
		}
		if above < op.n {
			mask.SetBit(first + j*inner)
		}
	}
}
