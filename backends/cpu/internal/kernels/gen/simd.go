package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Predicates of VCMPPS, all quiet.
const (
	less      = 0x11 // ordered
	unordered = 0x03
)

// cacheLine is the size of a cache line in bytes.
const cacheLine = 64

// simd emits code for one vector width. With it a kernel is written once for AVX2 and AVX-512. The
// destination is the last operand, as in Go assembly.
type simd struct {
	*build.Context
	wide bool // 512 bits, else 256
}

// widths calls f for each of the two vector widths.
func widths(c *build.Context, f func(s *simd)) {
	f(&simd{c, false})
	f(&simd{c, true})
}

// name returns the name of a kernel with the suffix of the instruction set.
func (s *simd) name(kernel string) string {
	if s.wide {
		return kernel + "AVX512"
	}
	return kernel + "AVX2"
}

// lanes returns the number of float32 values in a vector.
func (s *simd) lanes() int {
	if s.wide {
		return 16
	}
	return 8
}

func (s *simd) bytes() int { return 4 * s.lanes() }

func (s *simd) vec() reg.VecVirtual {
	if s.wide {
		return s.ZMM()
	}
	return s.YMM()
}

func (s *simd) vecs(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = s.vec()
	}
	return v
}

func (s *simd) zero(v reg.Register) {
	s.VXORPS(v, v, v)
}

func (s *simd) zeroed() reg.VecVirtual {
	v := s.vec()
	s.zero(v)
	return v
}

func (s *simd) load(m operand.Mem) reg.VecVirtual {
	v := s.vec()
	s.VMOVUPS(m, v)
	return v
}

// broadcast returns a vector whose lanes are all the float32 at m.
func (s *simd) broadcast(m operand.Op) reg.VecVirtual {
	v := s.vec()
	s.VBROADCASTSS(m, v)
	return v
}

// bits returns a vector whose lanes all have the bits b.
func (s *simd) bits(b uint32) reg.VecVirtual {
	r, x, v := s.GP32(), s.XMM(), s.vec()
	s.MOVL(operand.U32(b), r)
	s.VMOVD(r, x)
	s.VPBROADCASTD(x, v)
	return v
}

// argument returns the address of a scalar argument.
func (s *simd) argument(name string) operand.Mem {
	b, err := s.Param(name).Resolve()
	if err != nil {
		panic(err) // an error of this program
	}
	return b.Addr
}

// slice emits the load of the pointer of a slice argument.
func (s *simd) slice(name string) reg.Register {
	return s.Load(s.Param(name).Base(), s.GP64())
}

// length emits the load of the length of a slice argument.
func (s *simd) length(name string) reg.GPVirtual {
	return s.Load(s.Param(name).Len(), s.GP64()).(reg.GPVirtual)
}

// integer emits the load of an int argument.
func (s *simd) integer(name string) reg.GPVirtual {
	return s.Load(s.Param(name), s.GP64()).(reg.GPVirtual)
}

// mask returns a mask of the first n lanes, 0 < n < lanes.
func (s *simd) mask(n reg.GPVirtual) reg.Register {
	if s.wide {
		t, k := s.GP64(), s.K()
		s.MOVQ(n, reg.RCX)
		s.MOVQ(operand.U32(1), t)
		s.SHLQ(reg.CL, t)
		s.DECQ(t)
		s.KMOVW(t.As32(), k)
		return k
	}
	x, m := s.XMM(), s.YMM()
	s.VMOVD(n.As32(), x)
	s.VPBROADCASTD(x, m)
	s.VPCMPGTD(operand.NewDataAddr(operand.Symbol{Name: "iota", Static: true}, 0), m, m)
	return m
}

// loadPart emits the load of the lanes of a mask. The other lanes are zero, and their memory is not
// read.
func (s *simd) loadPart(m operand.Mem, mask reg.Register) reg.VecVirtual {
	v := s.vec()
	if s.wide {
		s.VMOVUPS_Z(m, mask, v)
	} else {
		s.VMASKMOVPS(m, mask, v)
	}
	return v
}

// storePart emits the store of the lanes of a mask.
func (s *simd) storePart(v reg.Register, m operand.Mem, mask reg.Register) {
	if s.wide {
		s.VMOVUPS(v, mask, m)
	} else {
		s.VMASKMOVPS(v, mask, m)
	}
}

// keepIf returns v in the lanes where a < b, and zero elsewhere.
func (s *simd) keepIf(a, b operand.Op, v reg.Register) reg.VecVirtual {
	out := s.vec()
	if s.wide {
		k := s.K()
		s.VCMPPS(operand.U8(less), b, a, k)
		s.VMOVAPS_Z(v, k, out)
	} else {
		s.VCMPPS(operand.U8(less), b, a, out)
		s.VANDPS(v, out, out)
	}
	return out
}

// keepNaN emits dst = v in the lanes where v is NaN.
func (s *simd) keepNaN(v, dst reg.Register) {
	if s.wide {
		k := s.K()
		s.VCMPPS(operand.U8(unordered), v, v, k)
		s.VMOVAPS(v, k, dst)
	} else {
		m := s.vec()
		s.VCMPPS(operand.U8(unordered), v, v, m)
		s.VBLENDVPS(m, v, dst, dst)
	}
}

// foldSum emits the sum of the lanes of v: it adds the upper half to the lower half until one lane
// is left.
func (s *simd) foldSum(v reg.VecVirtual) reg.Register {
	x, low := s.XMM(), v.AsX()
	if s.wide {
		upper := s.YMM()
		s.VEXTRACTF64X4(operand.U8(1), v, upper)
		s.VADDPS(upper, v.AsY(), v.AsY())
		s.VEXTRACTF32X4(operand.U8(1), v.AsY(), x)
	} else {
		s.VEXTRACTF128(operand.U8(1), v.AsY(), x)
	}
	s.VADDPS(x, low, low)
	s.VMOVHLPS(low, low, x)
	s.VADDPS(x, low, low)
	s.VMOVSHDUP(low, x)
	s.VADDSS(x, low, low)
	return low
}

// stepped emits a loop with count vectors per iteration, as long as n elements are enough for them.
// It subtracts the elements from n and adds their bytes to i.
func (s *simd) stepped(n, i reg.Register, count int, vectors func(count int)) {
	loop, next := label("loop", count), label("after", count)
	s.Label(loop)
	s.CMPQ(n, operand.I32(count*s.lanes()))
	s.JLT(operand.LabelRef(next))
	vectors(count)
	s.ADDQ(operand.I32(count*s.bytes()), i)
	s.SUBQ(operand.I32(count*s.lanes()), n)
	s.JMP(operand.LabelRef(loop))
	s.Label(next)
}

// done emits the return from a function that uses vectors.
func (s *simd) done() {
	s.VZEROUPPER()
	s.RET()
}

// iota8 defines the integers 0 to 7, with which mask compares.
func iota8(c *build.Context) {
	c.StaticGlobal("iota")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 8 {
		c.AddDatum(4*i, operand.U32(i))
	}
}

// at returns the address base + index + disp bytes. index may be nil.
func at(base reg.Register, index reg.Register, disp int) operand.Mem {
	m := operand.Mem{Base: base, Disp: disp}
	if index != nil {
		m.Index, m.Scale = index, 1
	}
	return m
}

func label(name string, n int) string { return fmt.Sprintf("%s%d", name, n) }
