package array

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// Cast returns v with elements of type d in the same encoding. It converts between F32 on one side
// and F16 or BF16 on the other, and from I8 with a [Quantization] to the real numbers in F32. Any
// other pair of types is an error; a cast to v's own type returns v itself.
//
// F16 and BF16 to F32 is exact. All else rounds to nearest, ties to even. The sign of a zero is
// kept, and NaN remains NaN. A finite element whose result is infinite is an error that names it.
// v is not changed.
func (v Value) Cast(d DType) (Value, error) {
	if err := v.Check(); err != nil {
		return Value{}, err
	}
	narrow := d == F16 || d == BF16
	wide := v.DType == F16 || v.DType == BF16
	switch {
	case d == v.DType:
		return v, nil
	case v.DType == F32 && narrow:
		return v.narrow(d)
	case wide && d == F32:
		return v.widen()
	case v.Quantization != nil && d == F32:
		return v.dequantize()
	case v.Quantization != nil:
		return Value{}, v.wrong("cast to %v; want f32 for a value with a quantization", d)
	}
	return Value{}, v.wrong("cast to %v: want a cast between f32 and f16 or bf16", d)
}

func (v Value) narrow(d DType) (Value, error) {
	round, back := bf16, fromBF16
	if d == F16 {
		round, back = f16, fromF16
	}
	out := v
	out.DType, out.Values = d, alignedBytes(len(v.Values)/2)
	for i := range v.Stored() {
		x := math.Float32frombits(binary.LittleEndian.Uint32(v.Values[4*i:]))
		y := round(x)
		if math.IsInf(float64(back(y)), 0) && !math.IsInf(float64(x), 0) {
			return Value{}, v.wrong("stored element %d is %g, beyond the range of %v; store it in f32", i, x, d)
		}
		binary.LittleEndian.PutUint16(out.Values[2*i:], y)
	}
	return out, nil
}

func (v Value) widen() (Value, error) {
	back := fromBF16
	if v.DType == F16 {
		back = fromF16
	}
	out := v
	out.DType, out.Values = F32, alignedBytes(2*len(v.Values))
	for i := range v.Stored() {
		binary.LittleEndian.PutUint32(out.Values[4*i:], math.Float32bits(back(binary.LittleEndian.Uint16(v.Values[2*i:]))))
	}
	return out, nil
}

func f16(x float32) uint16     { return float16.Fromfloat32(x).Bits() }
func fromF16(b uint16) float32 { return float16.Frombits(b).Float32() }

// bf16 returns the upper 16 bits of x, rounded to nearest, ties to even. The sum of the lower half,
// 0x7fff and the lowest bit of the upper half carries exactly where rounding goes up. For NaN the
// quiet bit is set, since the upper half alone may be that of infinity.
func bf16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func fromBF16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }
