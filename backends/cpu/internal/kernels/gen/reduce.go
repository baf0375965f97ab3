package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// running is the number of running sums of a reduction: element i is added to sum i%64.
const running = 64

// reduction is a kernel that adds terms to 64 running sums, and then the running sums to one: see
// reduceTable in package kernels.
type reduction struct {
	name   string
	inputs []string
	part   func(s *simd, in []reg.VecVirtual) reg.VecVirtual // the terms
}

var reductions = []reduction{
	{"sum", []string{"x"},
		func(s *simd, in []reg.VecVirtual) reg.VecVirtual { return in[0] }},
	{"dot", []string{"x", "y"},
		func(s *simd, in []reg.VecVirtual) reg.VecVirtual { s.VMULPS(in[1], in[0], in[0]); return in[0] }},
}

// reduce emits the reductions.
func reduce(c *build.Context) {
	iota8(c)
	widths(c, func(s *simd) {
		for _, r := range reductions {
			r.emit(s)
		}
	})
}

func (r reduction) emit(s *simd) {
	signature := "func(x []float32) float32"
	if len(r.inputs) == 2 {
		signature = "func(x, y []float32) float32"
	}
	function(s.Context, s.name(r.name), signature)
	n, i := s.length("x"), s.GP64()
	s.XORQ(i, i)
	var src []reg.Register
	for _, name := range r.inputs {
		src = append(src, s.slice(name))
	}
	acc := s.vecs(running / s.lanes())
	for _, a := range acc {
		s.zero(a)
	}
	load := func(v int) []reg.VecVirtual {
		in := make([]reg.VecVirtual, len(src))
		for j, p := range src {
			in[j] = s.load(at(p, i, v*s.bytes()))
		}
		return in
	}
	s.stepped(n, i, len(acc), func(int) {
		for v, a := range acc {
			s.VADDPS(r.part(s, load(v)), a, a)
		}
	})
	// Fewer than 64 elements are left. They are added to the same running sums as in a full step.
	for v, a := range acc {
		s.CMPQ(n, operand.I8(s.lanes()))
		s.JLT(operand.LabelRef(label("part", v)))
		s.VADDPS(r.part(s, load(v)), a, a)
		s.SUBQ(operand.I8(s.lanes()), n)
	}
	s.JMP(operand.LabelRef("fold"))
	for v, a := range acc {
		s.Label(label("part", v))
		s.TESTQ(n, n)
		s.JE(operand.LabelRef("fold"))
		m := s.mask(n)
		in := make([]reg.VecVirtual, len(src))
		for j, p := range src {
			in[j] = s.loadPart(at(p, i, v*s.bytes()), m)
		}
		s.VADDPS(r.part(s, in), a, a)
		s.JMP(operand.LabelRef("fold"))
	}
	s.Label("fold")
	for h := len(acc) / 2; h > 0; h /= 2 {
		for v := range h {
			s.VADDPS(acc[v+h], acc[v], acc[v])
		}
	}
	low := s.foldSum(acc[0])
	s.Store(low, s.ReturnIndex(0))
	s.done()
}
