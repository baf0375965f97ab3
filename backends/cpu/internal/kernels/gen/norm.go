package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

// norm emits the batch normalization kernels of one plane: see normTable in package kernels.
func norm(c *build.Context) {
	widths(c, func(s *simd) {
		moments(s)
		for _, add := range []bool{false, true} {
			for _, relu := range []bool{false, true} {
				apply(s, add, relu)
			}
		}
		gradSums(s, "gradSums", false, false)
		gradSums(s, "gradMasked", true, false)
		gradSums(s, "gradSumsRelu", true, true)
		input(s, "input", false)
		input(s, "inputRelu", true)
	})
}

// twoSums is the running sums of the even and of the odd pixels.
type twoSums [2]pixel

func (s *simd) twoSums() twoSums { return twoSums{s.zeroPixel(), s.zeroPixel()} }

// store emits the addition of the two sums and the store of the result.
func (t twoSums) store(s *simd, base reg.Register, disp int) {
	for h := range t[0] {
		s.VADDPS(t[1][h], t[0][h], t[0][h])
		s.VMOVUPS(t[0][h], s.half(base, nil, disp, h))
	}
}

// moments emits the partial sums of a plane: shift, Σ (x-shift), Σ (x-shift)².
func moments(s *simd) {
	function(s.Context, s.name("moments"), "func(part, x []float32)")
	part, x, n := s.slice("part"), s.slice("x"), s.length("x")
	shift := s.loadPixel(x, nil, 0)
	sum, squares := s.twoSums(), s.twoSums()
	// An iteration takes an even and an odd pixel. The last pixel of an odd number of pixels is
	// even.
	s.pixels(n, 2, func(i reg.Register, count int) {
		for p := range count {
			for h, v := range s.loadPixel(x, i, p*blockBytes) {
				s.VSUBPS(shift[h], v, v)
				s.VADDPS(v, sum[p][h], sum[p][h])
				s.VMULPS(v, v, v)
				s.VADDPS(v, squares[p][h], squares[p][h])
			}
		}
	})
	for h, v := range shift {
		s.VMOVUPS(v, s.half(part, nil, 0, h))
	}
	sum.store(s, part, blockBytes)
	squares.store(s, part, 2*blockBytes)
	s.done()
}

// apply emits y = (x-mean)·scale + shift, plus a residual, and with ReLU.
func apply(s *simd, add, relu bool) {
	name, sources := "apply", "x"
	if add {
		name, sources = name+"Add", "x, residual"
	}
	if relu {
		name += "Relu"
	}
	function(s.Context, s.name(name), "func(y, "+sources+", mean, scale, shift []float32)")
	y, x, n := s.slice("y"), s.slice("x"), s.length("y")
	mean, scale, shift := s.vector("mean"), s.vector("scale"), s.vector("shift")
	var residual reg.Register
	if add {
		residual = s.slice("residual")
	}
	var zero reg.VecVirtual
	if relu {
		zero = s.zeroed()
	}
	s.pixels(n, 4, func(i reg.Register, count int) {
		for p := range count {
			for h, v := range s.loadPixel(x, i, p*blockBytes) {
				s.VSUBPS(mean[h], v, v)
				s.VMULPS(scale[h], v, v)
				s.VADDPS(shift[h], v, v)
				if add {
					s.VADDPS(s.half(residual, i, p*blockBytes, h), v, v)
				}
				if relu {
					s.VMAXPS(v, zero, v)
				}
				s.VMOVUPS(v, s.half(y, i, p*blockBytes, h))
			}
		}
	})
	s.done()
}

// gradSums emits the partial sums Σ g and Σ g·(x-mean). g is dy, or with masked dy where y > 0.
// With stored the kernel also stores g.
func gradSums(s *simd, name string, masked, stored bool) {
	signature := "dy, x, mean []float32)"
	if masked {
		signature = "dy, y, x, mean []float32)"
	}
	if stored {
		signature = "g, " + signature
	}
	function(s.Context, s.name(name), "func(part, "+signature)
	part, dy, x, n := s.slice("part"), s.slice("dy"), s.slice("x"), s.length("x")
	mean := s.vector("mean")
	var g, y reg.Register
	var zero reg.VecVirtual
	if masked {
		y, zero = s.slice("y"), s.zeroed()
	}
	if stored {
		g = s.slice("g")
	}
	sum, prod := s.twoSums(), s.twoSums()
	s.pixels(n, 2, func(i reg.Register, count int) {
		for p := range count {
			for h, d := range s.loadPixel(dy, i, p*blockBytes) {
				if masked {
					d = s.keepIf(zero, s.half(y, i, p*blockBytes, h), d)
				}
				if stored {
					s.VMOVUPS(d, s.half(g, i, p*blockBytes, h))
				}
				s.VADDPS(d, sum[p][h], sum[p][h])
				v := s.load(s.half(x, i, p*blockBytes, h))
				s.VSUBPS(mean[h], v, v)
				s.VMULPS(d, v, v)
				s.VADDPS(v, prod[p][h], prod[p][h])
			}
		}
	})
	sum.store(s, part, 0)
	prod.store(s, part, blockBytes)
	s.done()
}

// input emits dx = scale·(g - meanGrad - (x-mean)·slope). g is dy, or with masked dy where y > 0.
func input(s *simd, name string, masked bool) {
	sources := "dy, x"
	if masked {
		sources = "dy, y, x"
	}
	function(s.Context, s.name(name), "func(dx, "+sources+", mean, scale, meanGrad, slope []float32)")
	dx, dy, x, n := s.slice("dx"), s.slice("dy"), s.slice("x"), s.length("dx")
	mean, scale, meanGrad, slope := s.vector("mean"), s.vector("scale"), s.vector("meanGrad"), s.vector("slope")
	var y reg.Register
	var zero reg.VecVirtual
	if masked {
		y, zero = s.slice("y"), s.zeroed()
	}
	s.pixels(n, 2, func(i reg.Register, count int) {
		for p := range count {
			for h, d := range s.loadPixel(dy, i, p*blockBytes) {
				if masked {
					d = s.keepIf(zero, s.half(y, i, p*blockBytes, h), d)
				}
				v := s.load(s.half(x, i, p*blockBytes, h))
				s.VSUBPS(mean[h], v, v)
				s.VMULPS(slope[h], v, v)
				s.VSUBPS(meanGrad[h], d, d)
				s.VSUBPS(v, d, d)
				s.VMULPS(scale[h], d, d)
				s.VMOVUPS(d, s.half(dx, i, p*blockBytes, h))
			}
		}
	})
	s.done()
}
