package array

import (
	"math"
	"strings"
	"testing"
)

// nearest returns the upper half of the bits of x, rounded to nearest even in float64 arithmetic, for a finite x ≥ 0.
func nearest(x float32) uint16 {
	below := uint16(math.Float32bits(x) >> 16)
	value := func(b uint16) float64 {
		if b == 0x7f80 {
			return math.Ldexp(1, 128) // where infinity begins, for rounding
		}
		return float64(fromBF16(b))
	}
	down, up := float64(x)-value(below), value(below+1)-float64(x)
	if up < down || up == down && below%2 == 1 {
		return below + 1
	}
	return below
}

// TestBF16Exhaustive holds the rounding against its definition: in full for the numbers around every tie, of which each of the
// 65,536 results has one, and on the whole range of float32 unless -short.
func TestBF16Exhaustive(t *testing.T) {
	check := func(bits uint32) {
		x := math.Float32frombits(bits)
		sign := uint16(bits >> 16 & 0x8000)
		switch got := bf16(x); {
		case x != x:
			if y := fromBF16(got); y == y || got&0x8000 != sign {
				t.Fatalf("NaN %08x becomes %04x", bits, got)
			}
		case math.IsInf(float64(x), 0):
			if got != sign|0x7f80 {
				t.Fatalf("infinity %08x becomes %04x", bits, got)
			}
		case got != sign|nearest(math.Float32frombits(bits&0x7fffffff)):
			t.Fatalf("%08x becomes %04x, want %04x", bits, got, sign|nearest(math.Float32frombits(bits&0x7fffffff)))
		}
	}
	for upper := range uint32(1 << 16) {
		for _, lower := range []uint32{0, 1, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff} {
			check(upper<<16 | lower)
		}
		if b := uint16(upper); bf16(fromBF16(b)) != b && fromBF16(b) == fromBF16(b) {
			t.Fatalf("%04x does not survive the way there and back", b)
		}
	}
	if testing.Short() {
		t.Skip("SKIPPED in short mode: all 2^32 numbers")
	}
	for bits := uint64(0); bits < 1<<32; bits++ {
		check(uint32(bits))
	}
}

// TestF16Exhaustive holds that every float16 survives the way there and back.
func TestF16Exhaustive(t *testing.T) {
	for b := range 1 << 16 {
		if x := fromF16(uint16(b)); x == x && f16(x) != uint16(b) {
			t.Fatalf("%04x does not survive the way there and back", b)
		}
	}
}

func TestCast(t *testing.T) {
	x, err := FromF32([]float32{0, 1, -0.333, 1e-9, 0, 65504, -2, float32(math.Copysign(0, -1))}, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Encoding{Dense, Bitmask, Index16} {
		v, err := x.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		for d, third := range map[DType]float32{F16: -0.33300781, BF16: -0.33203125} {
			small, err := v.Cast(d)
			if err != nil {
				t.Fatal(err)
			}
			if err := small.Check(); err != nil || small.Encoding != e || small.Stored() != v.Stored() || 2*len(small.Values) != len(v.Values) {
				t.Fatalf("%v as %v: %v, %v", e, d, small, err)
			}
			back, err := small.Cast(F32)
			if err != nil {
				t.Fatal(err)
			}
			y, err := back.Decode()
			if err != nil {
				t.Fatal(err)
			}
			if got := y.F32(); got[1] != 1 || got[2] != third || got[6] != -2 || math.Float32bits(got[7]) != 1<<31 {
				t.Errorf("%v as %v: %v", e, d, got)
			}
		}
	}
}

func TestCastRefuses(t *testing.T) {
	x, err := FromF32([]float32{1, 65520}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DenseValue(x).Cast(F16); err == nil || !strings.Contains(err.Error(), "element 1 is 65520") {
		t.Errorf("overflow: %v", err)
	}
	if _, err := DenseValue(x).Cast(I32); err == nil || !strings.Contains(err.Error(), "cast to i32") {
		t.Errorf("to integers: %v", err)
	}
	if _, err := (Value{DType: F32, Dims: []int{2}}).Cast(F16); err == nil {
		t.Error("an inconsistent value: no error")
	}
}
