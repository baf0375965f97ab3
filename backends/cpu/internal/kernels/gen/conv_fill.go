package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convFill emits the copy of image rows to plane rows: see fillRows in package kernels.
func convFill(c *build.Context) {
	for _, v := range []convVector{convAVX2, convAVX512} {
		name := "convFill" + v.name
		function(c, name, "func(dst, src *float32, rows, left, n, right, pitch, srcRow int)",
			name+" writes rows of left zero pixels, n pixels that lie pitch apart, and right zero pixels. See fillRows.")
		dst, src := c.Load(c.Param("dst"), c.GP64()), c.Load(c.Param("src"), c.GP64())
		rows := c.Load(c.Param("rows"), c.GP64())
		pitch, srcRow := c.Load(c.Param("pitch"), c.GP64()), c.Load(c.Param("srcRow"), c.GP64())
		c.SHLQ(operand.Imm(2), pitch)
		zero := v.register(c)
		c.VXORPS(zero.(reg.Vec).AsX(), zero.(reg.Vec).AsX(), zero.(reg.Vec).AsX())
		zeros := func(param string) {
			count := c.Load(c.Param(param), c.GP64())
			c.TESTQ(count, count)
			c.JE(operand.LabelRef(param + "done"))
			c.Label(param)
			for h := range v.parts {
				c.VMOVUPS(zero, operand.Mem{Base: dst, Disp: h * v.bytes})
			}
			c.ADDQ(operand.Imm(blockBytes), dst)
			c.DECQ(count)
			c.JNE(operand.LabelRef(param))
			c.Label(param + "done")
		}
		c.Label("row")
		zeros("left")
		from := c.GP64()
		c.MOVQ(src, from)
		count := c.Load(c.Param("n"), c.GP64())
		c.Label("pixel")
		for h := range v.parts {
			value := v.register(c)
			c.VMOVUPS(operand.Mem{Base: from, Disp: h * v.bytes}, value)
			c.VMOVUPS(value, operand.Mem{Base: dst, Disp: h * v.bytes})
		}
		c.ADDQ(pitch, from)
		c.ADDQ(operand.Imm(blockBytes), dst)
		c.DECQ(count)
		c.JNE(operand.LabelRef("pixel"))
		zeros("right")
		c.LEAQ(operand.Mem{Base: src, Index: srcRow, Scale: 4}, src)
		c.DECQ(rows)
		c.JNE(operand.LabelRef("row"))
		c.VZEROUPPER()
		c.RET()
	}
}
