package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convGrads emits the kernels of the weight gradient: see convGradTile in the package. The blocked ones keep blocks × channels sums in registers, the
// others runs × length, at most sums of them, runs at most 9 and length at most 7.
func convGrads(v convVector, blocked [][2]int, sums int) func(*build.Context) {
	return func(c *build.Context) {
		for _, b := range blocked {
			convGradBlocked(c, v, b[0], b[1])
		}
		for _, kind := range []string{"Planar", "Lanewise"} {
			for length := 1; length <= min(7, sums); length++ {
				for runs := 1; runs <= min(9, sums/length); runs++ {
					convGradRuns(c, v, kind, length, runs)
				}
			}
		}
	}
}

// convGradBlocked emits the kernel that adds, pixel by pixel, the outer product of channels of x and the lanes of blocks of dy.
func convGradBlocked(c *build.Context, v convVector, blocks, chans int) {
	name := fmt.Sprintf("convGradBlocked%s%dx%d", v.level, blocks, chans)
	function(c, name, "func(acc, x, dy *float32, accBlock, dyBlock, rows, cols, xRow, dyRow int)",
		fmt.Sprintf("%s adds to the sums of %d blocks and %d channels. See convGradTile.", name, blocks, chans))
	x, dy := c.Load(c.Param("x"), c.GP64()), c.Load(c.Param("dy"), c.GP64())
	rows, xSkip, dySkip := convGradRows(c, convBlockBytes)
	acc := c.Load(c.Param("acc"), c.GP64())
	accStride, dyStride := reg.Register(nil), reg.Register(nil)
	if blocks > 1 {
		accStride, dyStride = c.Load(c.Param("accBlock"), c.GP64()), c.Load(c.Param("dyBlock"), c.GP64())
		c.SHLQ(operand.Imm(2), accStride)
		c.SHLQ(operand.Imm(2), dyStride)
	}
	sums := make([][]reg.VecVirtual, chans) // by channel, then part of the panel
	at := func(ch, i int) operand.Mem {
		return convBlock(acc, []reg.Register{nil, accStride}, i/v.parts).Offset(ch*convBlockBytes + i%v.parts*v.bytes)
	}
	for ch := range sums {
		for i := range blocks * v.parts {
			r := v.register(c)
			c.VMOVUPS(at(ch, i), r)
			sums[ch] = append(sums[ch], r)
		}
	}
	c.Label("row")
	cols := c.Load(c.Param("cols"), c.GP64())
	c.Label("pixel")
	lanes := make([]reg.VecVirtual, blocks*v.parts)
	for i := range lanes {
		lanes[i] = v.register(c)
		c.VMOVUPS(convBlock(dy, []reg.Register{nil, dyStride}, i/v.parts).Offset(i%v.parts*v.bytes), lanes[i])
	}
	for ch := range sums {
		channel := operand.Mem{Base: x, Disp: 4 * ch}
		if v.fuse && blocks == 1 {
			c.VFMADD231PS_BCST(channel, lanes[0], sums[ch][0])
			continue
		}
		broadcast := v.register(c)
		c.VBROADCASTSS(channel, broadcast)
		for i, s := range sums[ch] {
			c.VFMADD231PS(lanes[i], broadcast, s)
		}
	}
	c.ADDQ(operand.Imm(convBlockBytes), x)
	c.ADDQ(operand.Imm(convBlockBytes), dy)
	c.DECQ(cols)
	c.JNE(operand.LabelRef("pixel"))
	c.ADDQ(xSkip, x)
	c.ADDQ(dySkip, dy)
	c.DECQ(rows)
	c.JNE(operand.LabelRef("row"))
	for ch := range sums {
		for i, s := range sums[ch] {
			c.VMOVUPS(s, at(ch, i))
		}
	}
	c.VZEROUPPER()
	c.RET()
}

// convGradRows loads the number of rows, and computes the bytes of x and of dy from the end of a row to the next.
func convGradRows(c *build.Context, unit int) (rows, xSkip, dySkip reg.Register) {
	xSkip, dySkip = c.Load(c.Param("xRow"), c.GP64()), c.Load(c.Param("dyRow"), c.GP64())
	cols := c.Load(c.Param("cols"), c.GP64())
	x, dy := c.GP64(), c.GP64()
	c.IMUL3Q(operand.U32(uint32(unit)), cols, x)
	c.IMUL3Q(operand.U32(convBlockBytes), cols, dy)
	c.SHLQ(operand.Imm(2), xSkip)
	c.SHLQ(operand.Imm(2), dySkip)
	c.SUBQ(x, xSkip)
	c.SUBQ(dy, dySkip)
	return c.Load(c.Param("rows"), c.GP64()), xSkip, dySkip
}

// convGradRuns emits the kernel that adds, pixel by pixel, dy times x at runs offsets and their length-1 neighbours: x one channel, or a block against its
// own lanes.
func convGradRuns(c *build.Context, v convVector, kind string, length, runs int) {
	name := fmt.Sprintf("convGrad%s%s%dx%d", kind, v.level, length, runs)
	function(c, name, "func(acc, x, dy *float32, offsets *int, rows, cols, xRow, dyRow int)",
		fmt.Sprintf("%s adds to the sums of %d runs of %d taps. See convGradTile.", name, runs, length))
	unit := 4
	if kind == "Lanewise" {
		unit = convBlockBytes
	}
	x, offsets := c.Load(c.Param("x"), c.GP64()), c.Load(c.Param("offsets"), c.GP64())
	bases := make([]reg.Register, runs)
	for r := range bases {
		base := c.GP64()
		c.MOVQ(operand.Mem{Base: offsets, Disp: 8 * r}, base)
		c.LEAQ(operand.Mem{Base: x, Index: base, Scale: 4}, base)
		bases[r] = base
	}
	acc := c.Load(c.Param("acc"), c.GP64())
	sums := make([][]reg.VecVirtual, runs*length) // by tap, then part of the block
	for t := range sums {
		for h := range v.parts {
			r := v.register(c)
			c.VMOVUPS(operand.Mem{Base: acc, Disp: t*convBlockBytes + h*v.bytes}, r)
			sums[t] = append(sums[t], r)
		}
	}
	dy, rows := c.Load(c.Param("dy"), c.GP64()), c.Load(c.Param("rows"), c.GP64())
	at := c.GP64() // bytes into every run
	c.XORQ(at, at)
	c.Label("row")
	cols := c.Load(c.Param("cols"), c.GP64())
	c.Label("pixel")
	lanes := make([]reg.VecVirtual, v.parts)
	for h := range lanes {
		lanes[h] = v.register(c)
		c.VMOVUPS(operand.Mem{Base: dy, Disp: h * v.bytes}, lanes[h])
	}
	for t := range sums {
		pixel := operand.Mem{Base: bases[t/length], Index: at, Scale: 1, Disp: t % length * unit}
		switch {
		case kind == "Lanewise":
			for h, s := range sums[t] {
				c.VFMADD231PS(pixel.Offset(h*v.bytes), lanes[h], s)
			}
		case v.fuse:
			c.VFMADD231PS_BCST(pixel, lanes[0], sums[t][0])
		default:
			broadcast := v.register(c)
			c.VBROADCASTSS(pixel, broadcast)
			for h, s := range sums[t] {
				c.VFMADD231PS(lanes[h], broadcast, s)
			}
		}
	}
	c.ADDQ(operand.Imm(uint64(unit)), at)
	c.ADDQ(operand.Imm(convBlockBytes), dy)
	c.DECQ(cols)
	c.JNE(operand.LabelRef("pixel"))

	// To the next row: both pointers stand cols pixels into this one.
	skip := c.Load(c.Param("cols"), c.GP64())
	c.IMUL3Q(operand.U32(uint32(unit)), skip, skip)
	c.SUBQ(skip, at)
	skip = c.Load(c.Param("xRow"), c.GP64())
	c.LEAQ(operand.Mem{Base: at, Index: skip, Scale: 4}, at)
	skip = c.Load(c.Param("cols"), c.GP64())
	c.SHLQ(operand.Imm(6), skip)
	c.SUBQ(skip, dy)
	skip = c.Load(c.Param("dyRow"), c.GP64())
	c.LEAQ(operand.Mem{Base: dy, Index: skip, Scale: 4}, dy)
	c.DECQ(rows)
	c.JNE(operand.LabelRef("row"))

	acc = c.Load(c.Param("acc"), c.GP64())
	for t := range sums {
		for h, s := range sums[t] {
			c.VMOVUPS(s, operand.Mem{Base: acc, Disp: t*convBlockBytes + h*v.bytes})
		}
	}
	c.VZEROUPPER()
	c.RET()
}
