package backendtest

import (
	"math"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// An operand is an input of a case: its type, and a function from a number u in [0, 1) to element
// k.
type operand struct {
	dtype array.DType
	dims  []int
	batch bool // the first axis is the symbol N
	fill  func(u float64, k int) float64
}

// float is an operand in [-1, 1), with gradient.
func float(dims ...int) operand { return operand{array.F32, dims, false, signed} }

// batched is float with a symbolic first axis.
func batched(dims ...int) operand { return operand{array.F32, dims, true, signed} }

func (o operand) with(fill func(u float64, k int) float64) operand {
	o.fill = fill
	return o
}

func ints(below int, dims ...int) operand {
	return operand{array.I32, dims, false, func(u float64, _ int) float64 { return math.Floor(u * float64(below)) }}
}

func bits(dims ...int) operand {
	return operand{array.Bit, dims, false, func(u float64, _ int) float64 { return math.Floor(2 * u) }}
}

func (o operand) shape() graph.Shape {
	s := graph.Of(o.dims...)
	if o.batch {
		s[0] = graph.Sym("N")
	}
	return s
}

func signed(u float64, _ int) float64   { return 2*u - 1 }
func positive(u float64, _ int) float64 { return u + 0.1 }

// coarse returns multiples of a quarter in [-1, 1], which gives many ties and zeros.
func coarse(u float64, _ int) float64 { return math.Round(8*u-4) / 4 }

// wide returns numbers of both signs over about ten powers of two.
func wide(u float64, k int) float64 { return math.Ldexp(2*u-1, k%20-15) }

// special returns ordinary numbers and special ones: NaN, infinities, zeros of both signs, and
// numbers for which e^x overflows or is subnormal.
func special(u float64, k int) float64 {
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, -1, 1e4, -1e4, 88.9, -104, 3e38, -3e38}
	if k%3 == 0 {
		return odd[k/3%len(odd)]
	}
	return 2*u - 1
}

// tensor returns the value of the operand, a function of seed alone. Floats have type d. They are
// rounded to F32 even if d is F64, so that both precisions compute with the same numbers.
func (o operand) tensor(t testing.TB, seed int, d array.DType) array.Tensor {
	t.Helper()
	if !o.dtype.Float() {
		d = o.dtype
	}
	x, err := array.New(d, o.dims...)
	if err != nil {
		t.Fatalf("the suite's own operand is wrong: %v", err)
	}
	for k := range x.Len() {
		v := o.fill(graph.Uniform([2]int64{int64(seed), 0}, 0, k), k)
		switch d {
		case array.F32:
			x.F32()[k] = float32(v)
		case array.F64:
			x.F64()[k] = float64(float32(v))
		case array.I32:
			x.I32()[k] = int32(v)
		case array.I64:
			x.I64()[k] = int64(v)
		case array.Bit:
			if v != 0 {
				x.SetBit(k)
			}
		}
	}
	return x
}

// element returns element k of a tensor as a float64.
func element(t array.Tensor, k int) float64 {
	switch t.DType {
	case array.F32:
		return float64(t.F32()[k])
	case array.F64:
		return t.F64()[k]
	case array.I8:
		return float64(int8(t.Data[k]))
	case array.I32:
		return float64(t.I32()[k])
	case array.I64:
		return float64(t.I64()[k])
	case array.Bit:
		if t.Bit(k) {
			return 1
		}
	}
	return 0
}

// magnitudes returns a copy of t with |x| for every float x.
func magnitudes(t array.Tensor) array.Tensor {
	c := t.Clone()
	for k, v := range c.F32() {
		c.F32()[k] = float32(math.Abs(float64(v)))
	}
	for k, v := range c.F64() {
		c.F64()[k] = math.Abs(v)
	}
	return c
}
