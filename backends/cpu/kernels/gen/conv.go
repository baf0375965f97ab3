package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convVector is one instruction set's way to hold a block of 16 channels.
type convVector struct {
	level    string
	bytes    int // of a register
	parts    int // registers in a block
	register func(*build.Context) reg.VecVirtual
	fuse     bool // a multiply-add can broadcast its memory operand
}

var (
	convAVX512 = convVector{level: "AVX512", bytes: 64, parts: 1, fuse: true,
		register: func(c *build.Context) reg.VecVirtual { return c.ZMM() }}
	convAVX2 = convVector{level: "AVX2", bytes: 32, parts: 2,
		register: func(c *build.Context) reg.VecVirtual { return c.YMM() }}
)

// convRowTiles lists the tiles of the row kernels: by number of blocks in a panel, the most pixels whose sums fit in the registers. The package's
// tables convTilesAVX512 and convTilesAVX2 say the same.
type convRowTile struct{ blocks, pixels int }

// convRows emits the row kernels: see convRow in the package. Each keeps the sums of a panel's blocks × pixels in registers while it walks the reduction.
func convRows(v convVector, blocked, planar, lanewise []convRowTile) func(*build.Context) {
	return func(c *build.Context) {
		for _, t := range blocked {
			for q := 1; q <= t.pixels; q++ {
				convRow(c, v, "Blocked", t.blocks, q)
			}
		}
		for _, t := range planar {
			for q := 1; q <= t.pixels; q++ {
				convRow(c, v, "Planar", t.blocks, q)
			}
		}
		for _, t := range lanewise {
			for q := 1; q <= t.pixels; q++ {
				convRow(c, v, "Lanewise", t.blocks, q)
			}
		}
	}
}

const convBlockBytes = 64 // of 16 channels

// convRow emits one row kernel.
func convRow(c *build.Context, v convVector, kind string, blocks, pixels int) {
	name := fmt.Sprintf("convRow%s%s%dx%d", kind, v.level, blocks, pixels)
	function(c, name, "func(dst, init, src, w *float32, offsets *int, entries, quads, tiles, dstPixel, dstBlock, initPixel, initBlock int, floor float32)",
		fmt.Sprintf("%s computes tiles of %d pixels for %d blocks. See convRow.", name, pixels, blocks))
	unit := convBlockBytes
	if kind == "Planar" {
		unit = 4
	}
	dst, init := c.Load(c.Param("dst"), c.GP64()), c.Load(c.Param("init"), c.GP64())
	src, tiles := c.Load(c.Param("src"), c.GP64()), c.Load(c.Param("tiles"), c.GP64())

	c.Label("tile")
	acc := make([][]reg.VecVirtual, pixels) // by pixel, then part of the panel
	pixel, strides := convStrides(c, "initPixel", "initBlock", blocks)
	for q := range acc {
		for b := range blocks {
			for h := range v.parts {
				r := v.register(c)
				c.VMOVUPS(convBlock(init, strides, b).Offset(h*v.bytes), r)
				acc[q] = append(acc[q], r)
			}
		}
		c.ADDQ(pixel, init)
	}

	w, offsets := c.Load(c.Param("w"), c.GP64()), c.Load(c.Param("offsets"), c.GP64())
	entries := c.Load(c.Param("entries"), c.GP64())
	c.TESTQ(entries, entries)
	c.JE(operand.LabelRef("store"))
	c.Label("entry")
	p := c.GP64()
	c.MOVQ(operand.Mem{Base: offsets}, p)
	c.LEAQ(operand.Mem{Base: src, Index: p, Scale: 4}, p)
	c.ADDQ(operand.Imm(8), offsets)
	steps := 1
	var quads reg.Register
	if kind == "Blocked" {
		steps = 4
		quads = c.Load(c.Param("quads"), c.GP64())
		c.Label("quad")
	}
	for s := range steps {
		weights := make([]reg.VecVirtual, blocks*v.parts)
		for i := range weights {
			weights[i] = v.register(c)
			c.VMOVUPS(operand.Mem{Base: w, Disp: s*blocks*convBlockBytes + i*v.bytes}, weights[i])
		}
		for q := range acc {
			x := operand.Mem{Base: p, Disp: q*unit + s*4}
			switch {
			case kind == "Lanewise":
				for i, a := range acc[q] {
					c.VFMADD231PS(x.Offset(i*v.bytes), weights[i], a)
				}
			case v.fuse && blocks == 1:
				c.VFMADD231PS_BCST(x, weights[0], acc[q][0])
			default:
				broadcast := v.register(c)
				c.VBROADCASTSS(x, broadcast)
				for i, a := range acc[q] {
					c.VFMADD231PS(weights[i], broadcast, a)
				}
			}
		}
	}
	c.ADDQ(operand.U32(uint32(steps*blocks*convBlockBytes)), w)
	if kind == "Blocked" {
		c.ADDQ(operand.Imm(uint64(4*steps)), p)
		c.DECQ(quads)
		c.JNE(operand.LabelRef("quad"))
	}
	c.DECQ(entries)
	c.JNE(operand.LabelRef("entry"))

	c.Label("store")
	floor := v.register(c)
	low, err := c.Param("floor").Resolve()
	if err != nil {
		panic(err)
	}
	c.VBROADCASTSS(low.Addr, floor)
	pixel, strides = convStrides(c, "dstPixel", "dstBlock", blocks)
	for q := range acc {
		for i, a := range acc[q] {
			c.VMAXPS(a, floor, a) // where either is NaN the first operand, the sum, is kept
			c.VMOVUPS(a, convBlock(dst, strides, i/v.parts).Offset(i%v.parts*v.bytes))
		}
		c.ADDQ(pixel, dst)
	}
	c.ADDQ(operand.U32(uint32(pixels*unit)), src)
	c.DECQ(tiles)
	c.JNE(operand.LabelRef("tile"))
	c.VZEROUPPER()
	c.RET()
}

// convStrides loads the distance of pixels, and the distances of blocks from the first, in bytes.
func convStrides(c *build.Context, pixel, block string, blocks int) (reg.Register, []reg.Register) {
	p := c.Load(c.Param(pixel), c.GP64())
	c.SHLQ(operand.Imm(2), p)
	strides := []reg.Register{nil}
	if blocks > 1 {
		b := c.Load(c.Param(block), c.GP64())
		c.SHLQ(operand.Imm(2), b)
		strides = append(strides, b)
	}
	if blocks > 3 {
		b3 := c.GP64()
		c.LEAQ(operand.Mem{Base: strides[1], Index: strides[1], Scale: 2}, b3)
		strides = append(strides, strides[1], b3)
	}
	return p, strides
}

// convBlock addresses block b of a pixel.
func convBlock(base reg.Register, strides []reg.Register, b int) operand.Mem {
	switch b {
	case 0:
		return operand.Mem{Base: base}
	case 2:
		return operand.Mem{Base: base, Index: strides[2], Scale: 2}
	default:
		return operand.Mem{Base: base, Index: strides[b], Scale: 1}
	}
}
