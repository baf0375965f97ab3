package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// oddSizes are the lengths that tests run over: every tail of every vector width, and some that
// reach the unrolled loops.
func oddSizes() []int {
	sizes := []int{127, 128, 129, 255, 1000}
	for n := range 68 {
		sizes = append(sizes, n)
	}
	return sizes
}

// eachInstructionSet calls f for every instruction set that this machine supports.
func eachInstructionSet(t *testing.T, f func(t *testing.T, isa InstructionSet)) {
	for _, isa := range instructionSets() {
		t.Run(isa.String(), func(t *testing.T) { f(t, isa) })
	}
}

// random returns n normally distributed values, the same for the same seed.
func random(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 7))
	x := Floats(n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// special returns random values with zeros, infinities, NaN and very small or large numbers among
// them.
func special(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 11))
	odd := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
		1e-42, -1e-42, 3e38, -3e38,
	}
	x := random(seed, n)
	for i := range x {
		if r.IntN(3) == 0 {
			x[i] = odd[r.IntN(len(odd))]
		}
	}
	return x
}

// sameBits fails unless got and want have the same bits. All NaN count as the same.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
			t.Fatalf("%s: element %d of %d is %v (%#x), want %v (%#x)", what, i, len(want),
				got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// near fails unless |got-want| ≤ tol*(1+|want|) for each element.
func near(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	for i := range want {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= tol*(1+math.Abs(want[i]))) {
			t.Fatalf("%s: element %d of %d is %v, want %v (off by %.2g, tolerance %.2g)", what, i, len(want), got[i], want[i], d, tol)
		}
	}
}

// vectorCases has one row for each elementwise kernel with exact arithmetic: its call, and its
// result for one element.
var vectorCases = []struct {
	name string
	call func(isa InstructionSet, dst, a, b []float32, mask []byte)
	want func(a, b float32, bit bool) float32
}{
	{"add", func(isa InstructionSet, dst, a, b []float32, _ []byte) { isa.Add(dst, a, b) }, func(a, b float32, _ bool) float32 { return a + b }},
	{"sub", func(isa InstructionSet, dst, a, b []float32, _ []byte) { isa.Sub(dst, a, b) }, func(a, b float32, _ bool) float32 { return a - b }},
	{"mul", func(isa InstructionSet, dst, a, b []float32, _ []byte) { isa.Mul(dst, a, b) }, func(a, b float32, _ bool) float32 { return a * b }},
	{"div", func(isa InstructionSet, dst, a, b []float32, _ []byte) { isa.Div(dst, a, b) }, func(a, b float32, _ bool) float32 { return a / b }},
	{"max", func(isa InstructionSet, dst, a, b []float32, _ []byte) { isa.Max(dst, a, b) }, func(a, b float32, _ bool) float32 {
		if a == b {
			return b
		}
		return max(a, b)
	}},
	{"min", func(isa InstructionSet, dst, a, b []float32, _ []byte) { isa.Min(dst, a, b) }, func(a, b float32, _ bool) float32 {
		if a == b {
			return b
		}
		return min(a, b)
	}},
	{"relugrad", func(isa InstructionSet, dst, a, b []float32, _ []byte) { isa.ReluGrad(dst, a, b) }, func(a, b float32, _ bool) float32 {
		if b > 0 {
			return a
		}
		return 0
	}},
	{"neg", func(isa InstructionSet, dst, a, _ []float32, _ []byte) { isa.Neg(dst, a) }, func(a, _ float32, _ bool) float32 { return -a }},
	{"abs", func(isa InstructionSet, dst, a, _ []float32, _ []byte) { isa.Abs(dst, a) }, func(a, _ float32, _ bool) float32 { return float32(math.Abs(float64(a))) }},
	{"sqrt", func(isa InstructionSet, dst, a, _ []float32, _ []byte) { isa.Sqrt(dst, a) }, func(a, _ float32, _ bool) float32 { return float32(math.Sqrt(float64(a))) }},
	{"relu", func(isa InstructionSet, dst, a, _ []float32, _ []byte) { isa.Relu(dst, a) }, func(a, _ float32, _ bool) float32 {
		if a < 0 {
			return 0
		}
		return a
	}},
	{"scale", func(isa InstructionSet, dst, a, _ []float32, _ []byte) { isa.Scale(dst, a, -0.3) }, func(a, _ float32, _ bool) float32 { return a * -0.3 }},
	{"shift", func(isa InstructionSet, dst, a, _ []float32, _ []byte) { isa.Shift(dst, a, 0.7) }, func(a, _ float32, _ bool) float32 { return a + 0.7 }},
	{"axpby", func(isa InstructionSet, dst, a, b []float32, _ []byte) { isa.Axpby(dst, 0.9, a, -1.7, b) }, func(a, b float32, _ bool) float32 {
		p, q := float32(0.9)*a, float32(-1.7)*b
		return float32(p) + float32(q)
	}},
	{"mask", func(isa InstructionSet, dst, a, _ []float32, mask []byte) { isa.Mask(dst, a, mask) }, func(a, _ float32, bit bool) float32 {
		if bit {
			return a
		}
		return 0
	}},
}

func TestVectorKernelsAreExact(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, tc := range vectorCases {
			for _, n := range oddSizes() {
				a, b := special(1, n), special(2, n)
				mask := randomMask(3, n)
				want := make([]float32, n)
				for i := range want {
					want[i] = tc.want(a[i], b[i], mask[i/8]>>(i%8)&1 != 0)
				}
				dst := random(4, n)
				tc.call(isa, dst, a, b, mask)
				sameBits(t, fmt.Sprintf("%s of %d", tc.name, n), dst, want)
				tc.call(isa, a, a, b, mask)
				sameBits(t, fmt.Sprintf("%s of %d in place", tc.name, n), a, want)
			}
		}
	})
}

// TestVectorKernelsStayInside calls every kernel with buffers between two inaccessible pages.
func TestVectorKernelsStayInside(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for n := range 68 {
			for _, end := range []bool{false, true} {
				dst, a, b := guarded(t, n, end), guarded(t, n, end), guarded(t, n, end)
				mask := guardedBytes(t, (n+7)/8, end)
				for _, tc := range vectorCases {
					tc.call(isa, dst, a, b, mask)
				}
				for _, tc := range functionCases {
					tc.call(isa, dst, a)
				}
				isa.Sum(a)
				isa.Dot(a, b)
				isa.Largest(a)
			}
		}
	})
}

func randomMask(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 3))
	mask := make([]byte, (n+7)/8)
	for i := range mask {
		mask[i] = byte(r.Uint32())
	}
	return mask
}

// functionCases has one row for each transcendental kernel, with its documented error in ulp.
var functionCases = []struct {
	name string
	call func(isa InstructionSet, dst, x []float32)
	want func(float64) float64
	ulp  float64
}{
	{"exp", InstructionSet.Exp, math.Exp, 2},
	{"expm1", InstructionSet.Expm1, math.Expm1, 2},
	{"log", InstructionSet.Log, math.Log, 2},
	{"tanh", InstructionSet.Tanh, math.Tanh, 3},
	{"erf", InstructionSet.Erf, math.Erf, 2},
}

func TestFunctionsWithinStatedUlp(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		x := special(5, 997)
		r := rand.New(rand.NewPCG(6, 6))
		for range 40_000 {
			// Every exponent: the functions have different branches.
			x = append(x, math.Float32frombits(r.Uint32()),
				float32(r.NormFloat64()*10), float32(r.NormFloat64()*0.1), float32(r.Float64()*200-100))
		}
		for _, tc := range functionCases {
			dst := make([]float32, len(x))
			tc.call(isa, dst, x)
			worst, at := 0.0, float32(0)
			for i, v := range x {
				e := ulps(dst[i], tc.want(float64(v)))
				if e > worst || e != e {
					worst, at = e, v
				}
			}
			if !(worst <= tc.ulp) {
				t.Errorf("%s(%v) is off by %.2f ulp, documented %v", tc.name, at, worst, tc.ulp)
			}
			t.Logf("%s: worst error %.2f ulp at %v", tc.name, worst, at)
		}
	})
}

// ulps returns the distance of got and want in units of the last float32 place of want. If want is
// less than the smallest normal number, the unit is the smallest subnormal number.
func ulps(got float32, want float64) float64 {
	rounded := float32(want)
	if math.IsNaN(want) || math.IsInf(float64(rounded), 0) {
		if got == rounded || (got != got && math.IsNaN(want)) {
			return 0
		}
		return math.Inf(1)
	}
	_, exponent := math.Frexp(want)
	unit := math.Ldexp(1, max(exponent-24, -149))
	return math.Abs(float64(got)-want) / unit
}

// TestFunctionsDoNotDependOnTheSplit tests that an element has the same result in a tail and in a
// full vector.
func TestFunctionsDoNotDependOnTheSplit(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		x := special(8, 131)
		for _, tc := range functionCases {
			whole, parts := make([]float32, len(x)), make([]float32, len(x))
			tc.call(isa, whole, x)
			for i := 0; i < len(x); i += 7 {
				tc.call(isa, parts[i:min(i+7, len(x))], x[i:])
			}
			sameBits(t, tc.name, parts, whole)
		}
	})
}
