package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pool emits the pooling kernels of one window: see poolTable in package kernels. rows and cols are
// at least 1.
func pool(c *build.Context) {
	widths(c, func(s *simd) {
		maxWindow(s)
		maxGradWindow(s)
		sumWindow(s)
		spreadWindow(s)
	})
}

// window is the arguments of a window. ld is in bytes.
type window struct{ rows, cols, ld reg.GPVirtual }

// window emits the loads of the arguments of a window.
func (s *simd) window() window {
	w := window{s.integer("rows"), s.integer("cols"), s.integer("ld")}
	s.SHLQ(operand.U8(2), w.ld)
	return w
}

// walk emits a loop over the pixels of a window in row-major order. body emits an iteration; i is
// the byte offset of the pixel.
func (w window) walk(s *simd, name string, body func(i reg.Register)) {
	i, first, row, left := s.GP64(), s.GP64(), s.GP64(), s.GP64()
	s.XORQ(first, first)
	s.MOVQ(w.rows, row)
	s.Label(name + "row")
	s.MOVQ(first, i)
	s.MOVQ(w.cols, left)
	s.Label(name + "pixel")
	body(i)
	s.ADDQ(operand.I8(blockBytes), i)
	s.DECQ(left)
	s.JNE(operand.LabelRef(name + "pixel"))
	s.ADDQ(w.ld, first)
	s.DECQ(row)
	s.JNE(operand.LabelRef(name + "row"))
}

func maxWindow(s *simd) {
	function(s.Context, s.name("maxWindow"), "func(out, x []float32, rows, cols, ld int)")
	out, x, w := s.slice("out"), s.slice("x"), s.window()
	best := s.loadPixel(x, nil, 0)
	w.walk(s, "max", func(i reg.Register) {
		for h, v := range s.loadPixel(x, i, 0) {
			s.VMAXPS(best[h], v, best[h])
			s.keepNaN(v, best[h])
		}
	})
	s.storePixel(best, out, nil)
	s.done()
}

func maxGradWindow(s *simd) {
	function(s.Context, s.name("maxGradWindow"), "func(dx, x, dy []float32, rows, cols, ld int)")
	dx, x, dy, w := s.slice("dx"), s.slice("x"), s.slice("dy"), s.window()
	// First pass: the number of the pixel where each lane has its maximum.
	best, winner := s.loadPixel(x, nil, 0), s.pixel()
	number, one := s.vec(), s.bits(1)
	s.zero(number)
	for _, v := range winner {
		s.zero(v)
	}
	w.walk(s, "find", func(i reg.Register) {
		for h, v := range s.loadPixel(x, i, 0) {
			s.replaceLarger(best[h], winner[h], v, number)
		}
		s.VPADDD(one, number, number)
	})
	// Second pass: the gradient of each lane is added there.
	g := s.loadPixel(dy, nil, 0)
	s.zero(number)
	w.walk(s, "give", func(i reg.Register) {
		for h := range g {
			d := s.load(s.half(dx, i, 0, h))
			s.addWhereEqual(winner[h], number, g[h], d)
			s.VMOVUPS(d, s.half(dx, i, 0, h))
		}
		s.VPADDD(one, number, number)
	})
	s.done()
}

// replaceLarger emits best = v and winner = number in the lanes where v > best or v is NaN.
func (s *simd) replaceLarger(best, winner, v, number reg.Register) {
	if s.wide {
		larger, nan := s.K(), s.K()
		s.VCMPPS(operand.U8(less), v, best, larger)
		s.VCMPPS(operand.U8(unordered), v, v, nan)
		s.KORW(nan, larger, larger)
		s.VMOVAPS(v, larger, best)
		s.VMOVAPS(number, larger, winner)
		return
	}
	larger, nan := s.vec(), s.vec()
	s.VCMPPS(operand.U8(less), v, best, larger)
	s.VCMPPS(operand.U8(unordered), v, v, nan)
	s.VORPS(nan, larger, larger)
	s.VBLENDVPS(larger, v, best, best)
	s.VBLENDVPS(larger, number, winner, winner)
}

// addWhereEqual emits d += g in the lanes where the integers a and b are equal.
func (s *simd) addWhereEqual(a, b, g, d reg.Register) {
	if s.wide {
		k := s.K()
		s.VPCMPEQD(a, b, k)
		s.VADDPS(g, d, k, d)
		return
	}
	m := s.vec()
	s.VPCMPEQD(a, b, m)
	s.VANDPS(g, m, m)
	s.VADDPS(m, d, d)
}

func sumWindow(s *simd) {
	function(s.Context, s.name("sumWindow"), "func(out, x []float32, rows, cols, ld int, share float32)")
	out, x, w := s.slice("out"), s.slice("x"), s.window()
	share := s.broadcast(s.argument("share"))
	sum := s.zeroPixel()
	w.walk(s, "sum", func(i reg.Register) {
		for h, v := range sum {
			s.VADDPS(s.half(x, i, 0, h), v, v)
		}
	})
	for _, v := range sum {
		s.VMULPS(share, v, v)
	}
	s.storePixel(sum, out, nil)
	s.done()
}

func spreadWindow(s *simd) {
	function(s.Context, s.name("spreadWindow"), "func(dx, dy []float32, rows, cols, ld int, share float32)")
	dx, w := s.slice("dx"), s.window()
	share := s.broadcast(s.argument("share"))
	g := s.vector("dy")
	for _, v := range g {
		s.VMULPS(share, v, v)
	}
	w.walk(s, "spread", func(i reg.Register) {
		d := s.loadPixel(dx, i, 0)
		for h, v := range d {
			s.VADDPS(g[h], v, v)
		}
		s.storePixel(d, dx, i)
	})
	s.done()
}
