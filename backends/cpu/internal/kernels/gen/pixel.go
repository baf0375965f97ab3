package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// blockBytes is the size of one pixel, 16 channels, in bytes.
const blockBytes = 64

// pixel is the vectors that contain one pixel: one of 512 bits, or two of 256.
type pixel []reg.VecVirtual

func (s *simd) pixel() pixel {
	p := make(pixel, blockBytes/s.bytes())
	for i := range p {
		p[i] = s.vec()
	}
	return p
}

func (s *simd) zeroPixel() pixel {
	p := s.pixel()
	for _, v := range p {
		s.zero(v)
	}
	return p
}

// loadPixel emits the load of the pixel at base + index + disp bytes.
func (s *simd) loadPixel(base, index reg.Register, disp int) pixel {
	p := s.pixel()
	for h, v := range p {
		s.VMOVUPS(s.half(base, index, disp, h), v)
	}
	return p
}

// half returns the address of vector h of the pixel at base + index + disp bytes.
func (s *simd) half(base, index reg.Register, disp, h int) operand.Mem {
	return at(base, index, disp+h*s.bytes())
}

// pixels emits two loops over the pixels of a slice of n elements: one with count pixels per
// iteration, and one with a single pixel for the rest. body emits an iteration; i is the byte index
// of its first pixel.
func (s *simd) pixels(n reg.Register, count int, body func(i reg.Register, count int)) {
	i := s.GP64()
	s.XORQ(i, i)
	s.SHLQ(operand.U8(2), n)
	for c := count; ; c = 1 {
		loop, next := label("loop", c), label("after", c)
		s.Label(loop)
		s.CMPQ(n, operand.I32(c*blockBytes))
		s.JLT(operand.LabelRef(next))
		body(i, c)
		s.ADDQ(operand.I32(c*blockBytes), i)
		s.SUBQ(operand.I32(c*blockBytes), n)
		s.JMP(operand.LabelRef(loop))
		s.Label(next)
		if c == 1 {
			return
		}
	}
}

// vector emits the load of a slice argument of 16 elements.
func (s *simd) vector(name string) pixel { return s.loadPixel(s.slice(name), nil, 0) }

// storePixel emits the store of the pixel at base + index.
func (s *simd) storePixel(p pixel, base, index reg.Register) {
	for h, v := range p {
		s.VMOVUPS(v, s.half(base, index, 0, h))
	}
}
