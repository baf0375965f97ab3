package main

import (
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// elementwise is a kernel dst[i] = f(inputs[i]...; constants...). start emits the code before the
// loop and returns the body, which emits f: it gets a vector of each input and returns the result.
type elementwise struct {
	name      string
	inputs    string // names of slices
	constants string // names of float32 arguments
	start     func(s *simd, constants []reg.VecVirtual) func(in []reg.VecVirtual) reg.Register
}

// plain returns a start without code before the loop and without constants.
func plain(f func(s *simd, in []reg.VecVirtual) reg.Register) func(*simd, []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
	return func(s *simd, _ []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
		return func(in []reg.VecVirtual) reg.Register { return f(s, in) }
	}
}

var elementwises = []elementwise{
	{"add", "a b", "", plain(func(s *simd, in []reg.VecVirtual) reg.Register { s.VADDPS(in[1], in[0], in[0]); return in[0] })},
	{"sub", "a b", "", plain(func(s *simd, in []reg.VecVirtual) reg.Register { s.VSUBPS(in[1], in[0], in[0]); return in[0] })},
	{"mul", "a b", "", plain(func(s *simd, in []reg.VecVirtual) reg.Register { s.VMULPS(in[1], in[0], in[0]); return in[0] })},
	{"div", "a b", "", plain(func(s *simd, in []reg.VecVirtual) reg.Register { s.VDIVPS(in[1], in[0], in[0]); return in[0] })},
	{"max", "a b", "", plain(func(s *simd, in []reg.VecVirtual) reg.Register {
		s.VMAXPS(in[1], in[0], in[1])
		s.keepNaN(in[0], in[1])
		return in[1]
	})},
	{"min", "a b", "", plain(func(s *simd, in []reg.VecVirtual) reg.Register {
		s.VMINPS(in[1], in[0], in[1])
		s.keepNaN(in[0], in[1])
		return in[1]
	})},
	{"reluGrad", "dy y", "", func(s *simd, _ []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
		zero := s.zeroed()
		return func(in []reg.VecVirtual) reg.Register { return s.keepIf(zero, in[1], in[0]) }
	}},
	{"neg", "x", "", func(s *simd, _ []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
		sign := s.bits(1 << 31)
		return func(in []reg.VecVirtual) reg.Register { s.VXORPS(sign, in[0], in[0]); return in[0] }
	}},
	{"abs", "x", "", func(s *simd, _ []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
		rest := s.bits(1<<31 - 1)
		return func(in []reg.VecVirtual) reg.Register { s.VANDPS(rest, in[0], in[0]); return in[0] }
	}},
	{"sqrt", "x", "", plain(func(s *simd, in []reg.VecVirtual) reg.Register { s.VSQRTPS(in[0], in[0]); return in[0] })},
	{"relu", "x", "", func(s *simd, _ []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
		zero := s.zeroed()
		return func(in []reg.VecVirtual) reg.Register { s.VMAXPS(in[0], zero, in[0]); return in[0] }
	}},
	{"scale", "x", "c", func(s *simd, k []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
		return func(in []reg.VecVirtual) reg.Register { s.VMULPS(k[0], in[0], in[0]); return in[0] }
	}},
	{"shift", "x", "c", func(s *simd, k []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
		return func(in []reg.VecVirtual) reg.Register { s.VADDPS(k[0], in[0], in[0]); return in[0] }
	}},
	{"axpby", "x y", "a b", func(s *simd, k []reg.VecVirtual) func([]reg.VecVirtual) reg.Register {
		return func(in []reg.VecVirtual) reg.Register {
			s.VMULPS(k[0], in[0], in[0])
			s.VMULPS(k[1], in[1], in[1])
			s.VADDPS(in[1], in[0], in[0])
			return in[0]
		}
	}},
}

// vec emits the elementwise kernels.
func vec(c *build.Context) {
	iota8(c)
	bitOf8(c)
	widths(c, func(s *simd) {
		for _, e := range elementwises {
			e.emit(s, 4)
		}
		keep(s)
	})
}

// emit emits the kernel. The main loop processes unroll vectors per iteration.
func (e elementwise) emit(s *simd, unroll int) {
	inputs, constants := strings.Fields(e.inputs), strings.Fields(e.constants)
	signature := "func(dst, " + strings.Join(inputs, ", ") + " []float32"
	if len(constants) > 0 {
		signature += ", " + strings.Join(constants, ", ") + " float32"
	}
	function(s.Context, s.name(e.name), signature+")")
	var k []reg.VecVirtual
	for _, name := range constants {
		k = append(k, s.broadcast(s.argument(name)))
	}
	body := e.start(s, k)
	dst, n := s.slice("dst"), s.length("dst")
	var src []reg.Register
	for _, name := range inputs {
		src = append(src, s.slice(name))
	}
	i := s.GP64()
	s.XORQ(i, i)
	vectors := func(count int) {
		for v := range count {
			in := make([]reg.VecVirtual, len(src))
			for j, p := range src {
				in[j] = s.load(at(p, i, v*s.bytes()))
			}
			s.VMOVUPS(body(in), at(dst, i, v*s.bytes()))
		}
	}
	for count := unroll; count > 0; count /= 4 {
		s.stepped(n, i, count, vectors)
	}
	s.TESTQ(n, n)
	s.JE(operand.LabelRef("done"))
	m := s.mask(n)
	in := make([]reg.VecVirtual, len(src))
	for j, p := range src {
		in[j] = s.loadPart(at(p, i, 0), m)
	}
	s.storePart(body(in), at(dst, i, 0), m)
	s.Label("done")
	s.done()
}

// keep emits dst[i] = x[i] where bit i of mask is 1, and 0 elsewhere.
func keep(s *simd) {
	function(s.Context, s.name("keep"), "func(dst, x []float32, mask []byte)")
	dst, x, bits, n := s.slice("dst"), s.slice("x"), s.slice("mask"), s.length("dst")
	i := s.GP64()
	s.XORQ(i, i)
	step := s.lanes() / 8
	s.stepped(n, i, 1, func(int) {
		if s.wide {
			k := s.K()
			s.KMOVW(at(bits, nil, 0), k)
			s.VMOVUPS(s.loadPart(at(x, i, 0), k), at(dst, i, 0))
		} else {
			m := s.expandBits(bits)
			s.VANDPS(at(x, i, 0), m, m)
			s.VMOVUPS(m, at(dst, i, 0))
		}
		s.ADDQ(operand.I8(step), bits)
	})
	s.TESTQ(n, n)
	s.JE(operand.LabelRef("done"))
	m := s.mask(n)
	v := s.loadPart(at(x, i, 0), m)
	if s.wide {
		// The second byte exists only if n > 8.
		lo, hi, k := s.GP32(), s.GP32(), s.K()
		s.MOVBLZX(at(bits, nil, 0), lo)
		s.CMPQ(n, operand.I8(8))
		s.JLE(operand.LabelRef("one"))
		s.MOVBLZX(at(bits, nil, 1), hi)
		s.SHLL(operand.U8(8), hi)
		s.ORL(hi, lo)
		s.Label("one")
		s.KMOVW(lo, k)
		s.VMOVAPS_Z(v, k, v)
	} else {
		s.VANDPS(s.expandBits(bits), v, v)
	}
	s.storePart(v, at(dst, i, 0), m)
	s.Label("done")
	s.done()
}

// expandBits returns eight lanes: all ones where the bit of the byte at bits is 1, else all zeros.
func (s *simd) expandBits(bits reg.Register) reg.VecVirtual {
	m, each := s.YMM(), s.YMM()
	s.VMOVUPS(operand.NewDataAddr(operand.Symbol{Name: "bitOf", Static: true}, 0), each)
	s.VPBROADCASTB(at(bits, nil, 0), m)
	s.VPAND(each, m, m)
	s.VPCMPEQD(each, m, m)
	return m
}

// bitOf8 defines eight lanes, lane i with bit i only.
func bitOf8(c *build.Context) {
	c.StaticGlobal("bitOf")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 8 {
		c.AddDatum(4*i, operand.U32(1<<i))
	}
}
