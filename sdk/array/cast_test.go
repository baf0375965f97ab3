package array

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// nearest returns the upper half of the bits of x, rounded to nearest even in float64 arithmetic,
// for a finite x ≥ 0.
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

// TestBF16Exhaustive holds the rounding against its definition: around every tie, of which each of
// the 65,536 results has one, and for all 2³² float32 numbers unless -short.
func TestBF16Exhaustive(t *testing.T) {
	// want is the definition for any x but NaN.
	want := func(x float32) uint16 {
		sign := uint16(math.Float32bits(x) >> 16 & 0x8000)
		x = math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
		if math.IsInf(float64(x), 0) {
			return sign | 0x7f80
		}
		return sign | nearest(x)
	}
	for upper := range uint32(1 << 16) {
		for _, lower := range []uint32{0, 1, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff} {
			bits := upper<<16 | lower
			switch x := math.Float32frombits(bits); {
			case x != x:
				if y := fromBF16(bf16(x)); y == y || math.Signbit(float64(y)) != (bits>>31 == 1) {
					t.Fatalf("NaN %08x becomes %04x", bits, bf16(x))
				}
			case bf16(x) != want(x):
				t.Fatalf("%08x becomes %04x, want %04x", bits, bf16(x), want(x))
			}
		}
		if b := uint16(upper); bf16(fromBF16(b)) != b && fromBF16(b) == fromBF16(b) {
			t.Fatalf("%04x is %04x after a cast to f32 and back", b, bf16(fromBF16(b)))
		}
	}
	if testing.Short() {
		t.Skip("SKIPPED in short mode: all 2^32 numbers")
	}
	// Rounding is monotonic, so the numbers between two with the same result have that result, too.
	// All NaNs of one upper half have one result as well.
	check := func(t *testing.T, upper uint32) {
		for _, span := range [][2]uint32{{0, 0}, {1, 0x7fff}, {0x8000, 0x8000}, {0x8001, 0xffff}} {
			first, last := upper<<16|span[0], upper<<16|span[1]
			x, y := math.Float32frombits(first), math.Float32frombits(last)
			result := bf16(x)
			if x == x && (result != want(x) || result != want(y)) {
				t.Fatalf("%08x to %08x become %04x, want %04x to %04x", first, last, result, want(x), want(y))
			}
			differ := uint16(0)
			for n := range last - first + 1 {
				differ |= bf16(math.Float32frombits(first+n)) ^ result
			}
			if differ != 0 {
				t.Fatalf("one of %08x to %08x does not become %04x as the first does", first, last, result)
			}
		}
	}
	const parts = 8
	for part := range uint32(parts) {
		t.Run(fmt.Sprint("part ", part), func(t *testing.T) {
			t.Parallel()
			for n := range uint32(1 << 16 / parts) {
				check(t, part*(1<<16/parts)+n)
			}
		})
	}
}

// TestF16Exhaustive holds that every float16 is the same after a cast to float32 and back.
func TestF16Exhaustive(t *testing.T) {
	for b := range 1 << 16 {
		if x := fromF16(uint16(b)); x == x && f16(x) != uint16(b) {
			t.Fatalf("%04x is %04x after a cast to f32 and back", b, f16(x))
		}
	}
}

func TestCast(t *testing.T) {
	x, err := From([]float32{0, 1, -0.333, 1e-9, 0, 65504, -2, float32(math.Copysign(0, -1))}, 2, 4)
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
	x, err := From([]float32{1, 65520}, 2)
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
