package cpu

import (
	"math"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func lowerCast(l *lowering, i graph.Instr) error {
	x := l.plainOf(i.In[0])
	l.emit("cast", cast{}, []valueID{x}, []valueID{l.define(i.Out[0], plain)})
	return nil
}

// cast converts between F32, integers and bits: to floats it rounds to nearest even, to integers it
// truncates and clamps.
type cast struct{}

func (cast) phases(b *binding, s *step) ([]phase, error) {
	x, y := s.in[0], s.out[0]
	from, to := b.buf(x), b.buf(y)
	dx, dy, n := b.values[x].typ.DType, b.values[y].typ.DType, b.count(x)
	return []phase{{
		items: tiles(n), cost: 4 * tile, whole: []bufID{from}, writes: []bufID{to},
		run: func(f *frame, _, i0, i1 int) error {
			convert(f.tensor(to, dy), f.tensor(from, dx), i0*tile, min(i1*tile, n))
			return nil
		},
	}}, nil
}

// convert casts the elements i0 ≤ i < i1, i0 being a multiple of 8.
func convert(to, from array.Tensor, i0, i1 int) {
	if to.DType == array.Bit {
		clear(to.Data[i0/8 : (i1+7)/8])
	}
	for i := i0; i < i1; i++ {
		if from.DType == array.F32 {
			setFloat(to, i, float64(from.F32()[i]))
		} else {
			setInt(to, i, intAt(from, i))
		}
	}
}

func intAt(t array.Tensor, i int) int64 {
	switch t.DType {
	case array.I8:
		return int64(int8(t.Data[i]))
	case array.I32:
		return int64(t.I32()[i])
	case array.I64:
		return t.I64()[i]
	}
	if t.Bit(i) {
		return 1
	}
	return 0
}

func setFloat(t array.Tensor, i int, v float64) {
	switch t.DType {
	case array.F32:
		t.F32()[i] = float32(v)
	case array.Bit:
		if v != 0 {
			t.SetBit(i)
		}
	default:
		setInt(t, i, clamp(v, 64))
	}
}

func setInt(t array.Tensor, i int, v int64) {
	switch t.DType {
	case array.F32:
		t.F32()[i] = float32(v)
	case array.I8:
		t.Data[i] = byte(min(max(v, math.MinInt8), math.MaxInt8))
	case array.I32:
		t.I32()[i] = int32(min(max(v, math.MinInt32), math.MaxInt32))
	case array.I64:
		t.I64()[i] = v
	case array.Bit:
		if v != 0 {
			t.SetBit(i)
		}
	}
}

// clamp truncates v to a signed integer with that many bits; NaN gives 0.
func clamp(v float64, bits int) int64 {
	limit := math.Ldexp(1, bits-1)
	switch {
	case v != v:
		return 0
	case v >= limit:
		return int64(uint64(1)<<(bits-1) - 1)
	case v <= -limit:
		return -1 << (bits - 1)
	}
	return int64(v)
}
