package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The polynomials below are Chebyshev approximations, highest power first. The error of each is
// well below half a unit in the last place of the result.
var (
	// (e^r - 1 - r) / r², |r| ≤ ln2/2
	expPoly = []float64{1.98910805e-4, 1.39337307e-3, 8.33331084e-3, 4.16664642e-2, 1.66666667e-1, 0.5}
	// (log(1+f) - f + f²/2) / f³, √½-1 ≤ f ≤ √2-1
	logPoly = []float64{-6.20150012e-2, 1.05308647e-1, -1.06461916e-1, 1.10377834e-1, -1.24507433e-1, 1.42865245e-1, -1.66680015e-1,
		2.00000100e-1, -2.49999903e-1, 3.33333333e-1}
	// erf(x)/x - 1 in x², 0 ≤ x² ≤ 0.86
	erfPoly = []float64{8.35189708e-5, -8.13879239e-4, 5.20072967e-3, -2.68592973e-2, 1.12836941e-1, -3.76126337e-1, 1.28379167e-1}
	// log(1-erf(x)), 0.92 ≤ x ≤ 4
	erfcPoly = []float64{-5.14856737e-8, 2.75470286e-6, -5.65466898e-5, 6.52536341e-4, -4.94387776e-3, 2.68133548e-2, -1.10615990e-1,
		-6.31373907e-1, -1.13044669, 3.62899333e-4}
)

// functions emits the transcendental functions.
func functions(c *build.Context) {
	iota8(c)
	known := map[uint32]operand.Mem{}
	widths(c, func(s *simd) {
		m := &mathematics{s, known}
		for _, f := range []struct {
			name string
			body func(x reg.VecVirtual) reg.Register
		}{{"exp", m.exp}, {"expm1", m.expm1}, {"log", m.log}, {"tanh", m.tanh}, {"erf", m.erf}} {
			elementwise{f.name, "x", "", func(*simd, []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
				return func(in []reg.VecVirtual) reg.Register { return f.body(in[0]) }
			}}.emit(s, 1)
		}
	})
}

// mathematics emits functions of one vector. Constants are memory operands, which need no
// registers.
type mathematics struct {
	*simd
	known map[uint32]operand.Mem
}

// float returns the address of a vector whose lanes are all v.
func (m *mathematics) float(v float64) operand.Mem { return m.word(math.Float32bits(float32(v))) }

// word returns the address of a vector whose lanes all have these bits.
func (m *mathematics) word(bits uint32) operand.Mem {
	if mem, ok := m.known[bits]; ok {
		return mem
	}
	mem := m.StaticGlobal(fmt.Sprintf("word%08x", bits))
	m.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		m.AddDatum(4*i, operand.U32(bits))
	}
	m.known[bits] = mem
	return mem
}

// horner returns the value of a polynomial at x, by Horner's rule.
func (m *mathematics) horner(poly []float64, x reg.Register) reg.VecVirtual {
	p := m.load(m.float(poly[0]))
	for _, c := range poly[1:] {
		m.VFMADD213PS(m.float(c), x, p)
	}
	return p
}

// clamp limits x to [low, high]. A NaN remains a NaN.
func (m *mathematics) clamp(x reg.Register, low, high float64) {
	bound := m.load(m.float(high))
	m.VMINPS(x, bound, x)
	bound = m.load(m.float(low))
	m.VMAXPS(x, bound, x)
}

// choose sets dst = v in the lanes where the predicate holds for a and b.
func (m *mathematics) choose(predicate uint8, a reg.Register, b, v operand.Op, dst reg.Register) {
	if m.wide {
		k := m.K()
		m.VCMPPS(operand.U8(predicate), b, a, k)
		m.VMOVAPS(v, k, dst)
		return
	}
	t := m.vec()
	m.VCMPPS(operand.U8(predicate), b, a, t)
	m.VBLENDVPS(t, v, dst, dst)
}

// reduce splits x = n·ln2 + r with |r| ≤ ln2/2. It returns n as integers, and p = e^r - 1. It
// overwrites x.
func (m *mathematics) reduce(x reg.Register) (n, p reg.VecVirtual) {
	n, f := m.vec(), m.vec()
	m.VMULPS(m.float(math.Log2E), x, f)
	m.VCVTPS2DQ(f, n)
	m.VCVTDQ2PS(n, f)
	m.VFNMADD231PS(m.float(0.693359375), f, x) // few enough bits for an exact product
	m.VFNMADD231PS(m.float(math.Ln2-0.693359375), f, x)
	p = m.horner(expPoly, x)
	m.VMULPS(x, p, p)
	m.VFMADD213PS(x, x, p)
	return n, p
}

// power sets n = 2^n for integers n.
func (m *mathematics) power(n reg.Register) {
	m.VPADDD(m.word(127), n, n)
	m.VPSLLD(operand.U8(23), n, n)
}

// timesPower sets p = p·2^n, as the product of p, 2^(n/2) and 2^(n-n/2), because 2^n itself may not
// be a normal number. It overwrites n.
func (m *mathematics) timesPower(p, n reg.Register) {
	half := m.vec()
	m.VPSRAD(operand.U8(1), n, half)
	m.VPSUBD(half, n, n)
	m.power(half)
	m.power(n)
	m.VMULPS(half, p, p)
	m.VMULPS(n, p, p)
}

// exp is 2^n·(p+1) with n and p = e^r - 1 from reduce.
func (m *mathematics) exp(x reg.VecVirtual) reg.Register {
	m.clamp(x, -104, 89) // where the result is 0 and +Inf
	n, p := m.reduce(x)
	m.VADDPS(m.float(1), p, p)
	m.timesPower(p, n)
	return p
}

// expm1 is 2·(2^(n-1)·p + (2^(n-1) - ½)) with p = e^r - 1. This form has no early overflow and no
// cancellation.
func (m *mathematics) expm1(x reg.VecVirtual) reg.Register {
	m.clamp(x, -18, 89) // where the result is -1 and +Inf
	n, p := m.reduce(x)
	m.VPADDD(m.word(math.MaxUint32), n, n)
	m.power(n)
	t := m.vec()
	m.VSUBPS(m.float(0.5), n, t)
	m.VFMADD213PS(t, n, p)
	m.VADDPS(p, p, p)
	return p
}

// tanh is t/(t+2) with t = e^(2|x|)-1, and the sign of x.
func (m *mathematics) tanh(x reg.VecVirtual) reg.Register {
	sign := m.vec()
	m.VANDPS(m.word(1<<31), x, sign)
	m.VANDPS(m.word(1<<31-1), x, x)
	m.clamp(x, 0, 10) // tanh is 1 from 9.02 on
	m.VADDPS(x, x, x)
	t := m.expm1(x).(reg.VecVirtual)
	d := m.vec()
	m.VADDPS(m.float(2), t, d)
	m.VDIVPS(d, t, t)
	m.VORPS(sign, t, t)
	return t
}

// log is e·ln2 + log(1+f) with x = 2^e·(1+f) and √½ ≤ 1+f < √2.
func (m *mathematics) log(x reg.VecVirtual) reg.Register {
	const sqrtHalf = 0x3f3504f3
	a, e, scaled, lift := m.vec(), m.vec(), m.vec(), m.zeroed()
	m.VMOVAPS(x, a)
	m.VMULPS(m.float(1<<23), x, scaled)
	smallest := m.load(m.float(0x1p-126))
	twentyThree := m.load(m.float(23))
	m.choose(less, x, smallest, twentyThree, lift)
	m.choose(less, x, smallest, scaled, a)
	m.VPSUBD(m.word(sqrtHalf), a, e)
	m.VPSRAD(operand.U8(23), e, e)
	m.VPSLLD(operand.U8(23), e, scaled)
	m.VPSUBD(scaled, a, a)
	m.VCVTDQ2PS(e, e)
	m.VSUBPS(lift, e, e)
	m.VSUBPS(m.float(1), a, a) // f
	y, p := m.vec(), m.horner(logPoly, a)
	m.VMULPS(a, a, y)
	m.VMULPS(a, p, p)
	m.VMULPS(y, p, p)
	m.VFMADD231PS(m.float(math.Ln2-0.693359375), e, p)
	m.VFNMADD231PS(m.float(0.5), y, p)
	m.VADDPS(a, p, p)
	m.VFMADD231PS(m.float(0.693359375), e, p)
	const notLess, equal = 0x15, 0x00
	zero := m.zeroed()
	infinity := m.load(m.float(math.Inf(1)))
	m.choose(notLess, x, infinity, x, p) // +Inf and NaN remain
	special := m.load(m.float(math.Inf(-1)))
	m.choose(equal, x, zero, special, p)
	special = m.load(m.float(math.NaN()))
	m.choose(less, x, zero, special, p)
	return p
}

// erf is x + x·P(x²) near zero and 1 - e^Q(|x|) with the sign of x elsewhere.
func (m *mathematics) erf(x reg.VecVirtual) reg.Register {
	t, s, sign := m.vec(), m.vec(), m.vec()
	m.VANDPS(m.word(1<<31-1), x, t)
	m.VANDPS(m.word(1<<31), x, sign)
	m.VMULPS(x, x, s)
	near := m.horner(erfPoly, s)
	m.VFMADD213PS(x, x, near)
	m.clamp(t, 0, 4) // erf is 1 from 3.92 on
	q := m.horner(erfcPoly, t)
	n, p := m.reduce(q)
	m.VADDPS(m.float(1), p, p)
	m.timesPower(p, n)
	far := m.load(m.float(1))
	m.VSUBPS(p, far, far)
	m.VORPS(sign, far, far)
	limit := m.load(m.float(0.925))
	m.choose(less, t, limit, near, far)
	return far
}
