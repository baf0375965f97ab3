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

// convBandSize is a family of band kernels: runs of that many taps, panels of that many blocks, tiles of 1 to pixels pixels. The package's tables
// say the same.
type convBandSize struct {
	kind                string
	run, blocks, pixels int
}

var (
	convBandsAVX512 = []convBandSize{
		{"Blocked", 1, 1, 16}, {"Blocked", 1, 2, 14}, {"Blocked", 1, 4, 6},
		{"Blocked", 2, 1, 16}, {"Blocked", 2, 2, 12},
		{"Blocked", 3, 1, 16}, {"Blocked", 3, 2, 12},
		{"Paired", 2, 2, 12}, {"Split", 3, 1, 16}, {"Split", 3, 2, 12},
		{"Planar", 1, 1, 16}, {"Planar", 1, 2, 12},
		{"Planar", 2, 1, 16}, {"Planar", 2, 2, 12},
		{"Planar", 3, 1, 16}, {"Planar", 3, 2, 12},
		{"Lanewise", 1, 1, 14}, {"Lanewise", 2, 1, 14}, {"Lanewise", 3, 1, 14},
	}
	convBandsAVX2 = []convBandSize{{"Blocked", 1, 1, 6}, {"Planar", 1, 1, 6}, {"Lanewise", 1, 1, 6}}
)

// convBands emits the band kernels: see convBand in the package. Each keeps the sums of a panel's blocks × pixels in registers while it walks the
// reduction, and each source pixel it reads serves all taps of a run.
func convBands(v convVector, sizes []convBandSize) func(*build.Context) {
	return func(c *build.Context) {
		for _, s := range sizes {
			for q := 1; q <= s.pixels; q++ {
				convBand(c, v, s.kind, s.run, s.blocks, q)
			}
		}
	}
}

const convBlockBytes = 64 // of 16 channels

// convBand emits one band kernel.
func convBand(c *build.Context, v convVector, kind string, run, blocks, pixels int) {
	name := fmt.Sprintf("convBand%s%s%dx%dx%d", kind, v.level, run, blocks, pixels)
	function(c, name, "func(dst, init, src, w *float32, offsets *int, entries, chans, rows, tiles, "+
		"dstPixel, dstBlock, dstSkip, initPixel, initBlock, initSkip, srcSkip int, floor float32, next, end *float32)",
		fmt.Sprintf("%s computes tiles of %d pixels for %d blocks, from runs of %d taps. See convBand.", name, pixels, blocks, run))
	unit := convBlockBytes
	if kind == "Planar" {
		unit = 4
	}
	dst, init := c.Load(c.Param("dst"), c.GP64()), c.Load(c.Param("init"), c.GP64())
	src, rows := c.Load(c.Param("src"), c.GP64()), c.Load(c.Param("rows"), c.GP64())
	next := c.Load(c.Param("next"), c.GP64())

	c.Label("row")
	tiles := c.Load(c.Param("tiles"), c.GP64())
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

	// The result's cache lines, which a store would have to wait for, travel while the sums are computed.
	result := c.GP64()
	c.MOVQ(dst, result)
	pixel, strides = convStrides(c, "dstPixel", "dstBlock", blocks)
	for range acc {
		for b := range blocks {
			c.PREFETCHT0(convBlock(result, strides, b))
		}
		c.ADDQ(pixel, result)
	}

	w, offsets := c.Load(c.Param("w"), c.GP64()), c.Load(c.Param("offsets"), c.GP64())
	entries := c.Load(c.Param("entries"), c.GP64())
	c.TESTQ(entries, entries)
	c.JE(operand.LabelRef("store"))
	c.Label("entry")
	p := c.GP64()
	c.MOVQ(operand.Mem{Base: offsets}, p)
	c.LEAQ(operand.Mem{Base: src, Index: p, Scale: 4}, p)
	span, other := run, reg.Register(nil) // neighbours of a run, and where the tap is that is none
	if kind == "Split" {
		span, other = run-1, c.GP64()
		c.MOVQ(operand.Mem{Base: offsets, Disp: 8}, other)
		c.LEAQ(operand.Mem{Base: src, Index: other, Scale: 4}, other)
		c.ADDQ(operand.Imm(8), offsets)
	}
	c.ADDQ(operand.Imm(8), offsets)
	steps := 1 // channels an iteration: about as many multiply-adds for every run
	var chans reg.Register
	if unit == convBlockBytes && kind != "Lanewise" {
		shift := 2 / run // 4, 2 and 1 channels
		steps = 1 << shift
		chans = c.Load(c.Param("chans"), c.GP64())
		c.SHRQ(operand.Imm(uint64(shift)), chans)
		c.Label("chans")
	}
	convPrefetch(c, next)
	panel := blocks * v.parts
	count := run * panel
	slot := func(t, i int) int { return t*panel + i } // of the weights of tap t for part i of the panel
	if kind == "Paired" {
		count = 3
		slot = func(t, i int) int { return []int{0, 1, -1, 2}[2*t+i] }
	}
	for s := range steps {
		weights := make([]reg.VecVirtual, count)
		for i := range weights {
			weights[i] = v.register(c)
			c.VMOVUPS(operand.Mem{Base: w, Disp: (s*count + i) * v.bytes}, weights[i])
		}
		for at := range pixels + span - 1 { // the source pixel, which tap t adds to result pixel at-t
			x := operand.Mem{Base: p, Disp: at*unit + s*4}
			if kind != "Lanewise" && v.fuse && run*blocks == 1 {
				c.VFMADD231PS_BCST(x, weights[0], acc[at][0])
				continue
			}
			parts := 1 // of x
			if kind == "Lanewise" {
				parts = v.parts
			}
			for h := range parts {
				value := v.register(c)
				if kind == "Lanewise" {
					c.VMOVUPS(x.Offset(h*v.bytes), value)
				} else {
					c.VBROADCASTSS(x, value)
				}
				for t := range span {
					if q := at - t; q >= 0 && q < pixels {
						for i := h; i < panel; i += parts {
							if w := slot(t, i); w >= 0 {
								c.VFMADD231PS(weights[w], value, acc[q][i])
							}
						}
					}
				}
			}
			if other != nil && at < pixels {
				value := v.register(c)
				c.VBROADCASTSS(operand.Mem{Base: other, Disp: x.Disp}, value)
				for i, a := range acc[at] {
					c.VFMADD231PS(weights[slot(span, i)], value, a)
				}
			}
		}
	}
	c.ADDQ(operand.U32(uint32(steps*count*v.bytes)), w)
	if chans != nil {
		c.ADDQ(operand.Imm(uint64(4*steps)), p)
		if other != nil {
			c.ADDQ(operand.Imm(uint64(4*steps)), other)
		}
		c.DECQ(chans)
		c.JNE(operand.LabelRef("chans"))
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
	for _, p := range []struct {
		pointer reg.Register
		skip    string
	}{{dst, "dstSkip"}, {init, "initSkip"}, {src, "srcSkip"}} {
		skip := c.Load(c.Param(p.skip), c.GP64())
		c.LEAQ(operand.Mem{Base: p.pointer, Index: skip, Scale: 4}, p.pointer)
	}
	c.DECQ(rows)
	c.JNE(operand.LabelRef("row"))
	c.VZEROUPPER()
	c.RET()
}

// convPrefetch fetches the next cache line of what will be read soon, up to the parameter end, into the second-level cache.
func convPrefetch(c *build.Context, next reg.Register) {
	end, err := c.Param("end").Resolve()
	if err != nil {
		panic(err)
	}
	c.PREFETCHT1(operand.Mem{Base: next})
	c.ADDQ(operand.Imm(64), next)
	c.CMPQ(next, end.Addr)
	c.CMOVQHI(end.Addr, next)
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
