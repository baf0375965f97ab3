package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peak emits the loops that measure the multiply-add peak: 12 independent chains on registers.
func peak(c *build.Context) {
	const chains = 12
	for _, isa := range []struct {
		name string
		vec  func() reg.VecVirtual
		zero func(reg.VecVirtual)
	}{
		{"peakAVX2", c.YMM, func(v reg.VecVirtual) { c.VXORPS(v, v, v) }},
		{"peakAVX512", c.ZMM, func(v reg.VecVirtual) { c.VPXORD(v, v, v) }},
	} {
		function(c, isa.name, "func(steps int)",
			isa.name+" runs steps rounds of 12 independent fused multiply-adds on vector registers.")
		steps := c.Load(c.Param("steps"), c.GP64())
		x := isa.vec()
		isa.zero(x)
		acc := make([]reg.VecVirtual, chains)
		for i := range acc {
			acc[i] = isa.vec()
			isa.zero(acc[i])
		}
		c.Label("loop")
		for _, a := range acc {
			c.VFMADD231PS(x, x, a)
		}
		c.DECQ(steps)
		c.JNE(operand.LabelRef("loop"))
		c.VZEROUPPER()
		c.RET()
	}
}
