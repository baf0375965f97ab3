package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Legend of the convolution kernels. n, o and c are an image, an output channel and an input
// channel; (y, x) is a result pixel and (i, j) a tap. Further, in this file:
//
//	q     pixel of a tile, 0 ≤ q < pixels
//	b     block of 16 channels of a panel, 0 ≤ b < blocks
//	h     part of a block: a vector register, 0 ≤ h < parts
//	i     part of a panel, i = b·parts + h
//	t     tap of a run, 0 ≤ t < run
//	lane  channel of a block
//
// Panels, tiles, runs and the rest are defined in the comment of package kernels.

// convVector is the vectors of one instruction set.
type convVector struct {
	name     string // suffix of the functions
	bytes    int    // of a register
	parts    int    // registers that contain a block of 16 channels
	register func(*build.Context) reg.VecVirtual
	fuse     bool // a multiply-add can broadcast its memory operand
}

var (
	convAVX512 = convVector{name: "AVX512", bytes: 64, parts: 1, fuse: true,
		register: func(c *build.Context) reg.VecVirtual { return c.ZMM() }}
	convAVX2 = convVector{name: "AVX2", bytes: 32, parts: 2,
		register: func(c *build.Context) reg.VecVirtual { return c.YMM() }}
)

// convBandSize is a family of band kernels: one for each number of pixels from 1 to pixels. The
// tables of package kernels contain the same sizes.
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

// convBands returns a function that emits the band kernels of these sizes.
func convBands(v convVector, sizes []convBandSize) func(*build.Context) {
	return func(c *build.Context) {
		for _, s := range sizes {
			for q := 1; q <= s.pixels; q++ {
				convBand{Context: c, v: v, kind: s.kind, run: s.run, blocks: s.blocks, pixels: q}.emit()
			}
		}
	}
}

// convBand emits one band kernel: see convBand in package kernels for its formula. The kernel keeps
// the sums of a tile, blocks × pixels, in registers:
//
//	for each row of the band
//	  for each tile of pixels
//	    acc[q][b] = init[q][b]
//	    for each entry
//	      for each channel c
//	        for each source pixel at, 0 ≤ at < pixels+run-1
//	          for each tap t with 0 ≤ at-t < pixels
//	            acc[at-t][b] += src[at][c] · w[t][b]
//	    dst[q][b] = max(floor, acc[q][b])
//
// A source pixel is loaded once for all taps of a run.
type convBand struct {
	*build.Context
	v                   convVector
	kind                string
	run, blocks, pixels int

	dst, init, src reg.Register
	next           reg.Register // address of the next prefetch
	w, offsets     reg.Register
	// source pixels of the first tap, and of the last one in a split run
	first, extra reg.Register
	acc          [][]reg.VecVirtual // by pixel, then part of the panel
}

// lanewise reports whether a lane of x is multiplied with the same lane of w only.
func (k *convBand) lanewise() bool { return k.kind == "Lanewise" }

// unit returns the bytes of a source pixel.
func (k *convBand) unit() int {
	if k.kind == "Planar" {
		return 4
	}
	return blockBytes
}

// panel returns the registers that contain one pixel of a panel.
func (k *convBand) panel() int { return k.blocks * k.v.parts }

// neighbours returns the taps of a run that are neighbours in a plane: in a split run all but the
// last.
func (k *convBand) neighbours() int {
	if k.kind == "Split" {
		return k.run - 1
	}
	return k.run
}

func (k convBand) emit() {
	name := fmt.Sprintf("convBand%s%s%dx%dx%d", k.kind, k.v.name, k.run, k.blocks, k.pixels)
	function(k.Context, name, "func(dst, init, src, w *float32, offsets *int, entries, chans, rows, tiles, "+
		"dstPixel, dstBlock, dstSkip, initPixel, initBlock, initSkip, srcSkip int, floor float32, next, end *float32)",
		fmt.Sprintf("%s computes tiles of %d pixels for %d blocks, from runs of %d taps. See convBand.",
			name, k.pixels, k.blocks, k.run))
	k.dst, k.init = k.Load(k.Param("dst"), k.GP64()), k.Load(k.Param("init"), k.GP64())
	k.src = k.Load(k.Param("src"), k.GP64())
	rows := k.Load(k.Param("rows"), k.GP64())
	k.next = k.Load(k.Param("next"), k.GP64())

	k.Label("row")
	tiles := k.Load(k.Param("tiles"), k.GP64())
	k.Label("tile")
	k.loadSums()
	k.prefetchResult()
	k.addEntries()
	k.storeSums()
	k.ADDQ(operand.U32(uint32(k.pixels*k.unit())), k.src)
	k.DECQ(tiles)
	k.JNE(operand.LabelRef("tile"))
	for _, p := range []struct {
		pointer reg.Register
		skip    string
	}{{k.dst, "dstSkip"}, {k.init, "initSkip"}, {k.src, "srcSkip"}} {
		skip := k.Load(k.Param(p.skip), k.GP64())
		k.LEAQ(operand.Mem{Base: p.pointer, Index: skip, Scale: 4}, p.pointer)
	}
	k.DECQ(rows)
	k.JNE(operand.LabelRef("row"))
	k.VZEROUPPER()
	k.RET()
}

// loadSums emits acc = init, and moves init to the next tile.
func (k *convBand) loadSums() {
	k.acc = make([][]reg.VecVirtual, k.pixels)
	pixel, strides := convStrides(k.Context, "initPixel", "initBlock", k.blocks)
	for q := range k.acc {
		for b := range k.blocks {
			for h := range k.v.parts {
				r := k.v.register(k.Context)
				k.VMOVUPS(convBlock(k.init, strides, b).Offset(h*k.v.bytes), r)
				k.acc[q] = append(k.acc[q], r)
			}
		}
		k.ADDQ(pixel, k.init)
	}
}

// prefetchResult emits prefetches of the cache lines that storeSums writes. They arrive while the
// sums are computed, so the stores do not wait for them.
func (k *convBand) prefetchResult() {
	result := k.GP64()
	k.MOVQ(k.dst, result)
	pixel, strides := convStrides(k.Context, "dstPixel", "dstBlock", k.blocks)
	for range k.acc {
		for b := range k.blocks {
			k.PREFETCHT0(convBlock(result, strides, b))
		}
		k.ADDQ(pixel, result)
	}
}

// addEntries emits the loop over the entries. Without an entry it jumps to the label store.
func (k *convBand) addEntries() {
	k.w, k.offsets = k.Load(k.Param("w"), k.GP64()), k.Load(k.Param("offsets"), k.GP64())
	entries := k.Load(k.Param("entries"), k.GP64())
	k.TESTQ(entries, entries)
	k.JE(operand.LabelRef("store"))
	k.Label("entry")
	k.first, k.extra = k.source(0), nil
	if k.kind == "Split" {
		k.extra = k.source(8)
		k.ADDQ(operand.Imm(8), k.offsets)
	}
	k.ADDQ(operand.Imm(8), k.offsets)
	k.addChannels()
	k.DECQ(entries)
	k.JNE(operand.LabelRef("entry"))
}

// source returns the address in src of the offset that is disp bytes behind the pointer offsets.
func (k *convBand) source(disp int) reg.Register {
	p := k.GP64()
	k.MOVQ(operand.Mem{Base: k.offsets, Disp: disp}, p)
	k.LEAQ(operand.Mem{Base: k.src, Index: p, Scale: 4}, p)
	return p
}

// addChannels emits the loop over the channels of an entry. An iteration takes 1, 2 or 4 channels:
// the longer the run, the fewer.
func (k *convBand) addChannels() {
	steps := 1
	loop := k.unit() == blockBytes && !k.lanewise()
	var chans reg.Register
	if loop {
		shift := 2 / k.run
		steps = 1 << shift
		chans = k.Load(k.Param("chans"), k.GP64())
		k.SHRQ(operand.Imm(uint64(shift)), chans)
		k.Label("chans")
	}
	convPrefetch(k.Context, k.next)
	count, slot := k.weights()
	for s := range steps {
		k.addChannel(s, count, slot)
	}
	k.ADDQ(operand.U32(uint32(steps*count*k.v.bytes)), k.w)
	if !loop {
		return
	}
	k.ADDQ(operand.Imm(uint64(4*steps)), k.first)
	if k.extra != nil {
		k.ADDQ(operand.Imm(uint64(4*steps)), k.extra)
	}
	k.DECQ(chans)
	k.JNE(operand.LabelRef("chans"))
}

// weights returns the number of registers of the weights of one channel, and the index among them
// of tap t for part i of the panel, -1 where that weight does not exist.
func (k *convBand) weights() (count int, slot func(t, i int) int) {
	if k.kind == "Paired" {
		return 3, func(t, i int) int { return []int{0, 1, -1, 2}[2*t+i] }
	}
	panel := k.panel()
	return k.run * panel, func(t, i int) int { return t*panel + i }
}

// addChannel emits the multiply-adds of channel s of an iteration.
func (k *convBand) addChannel(s, count int, slot func(t, i int) int) {
	weights := make([]reg.VecVirtual, count)
	for i := range weights {
		weights[i] = k.v.register(k.Context)
		k.VMOVUPS(operand.Mem{Base: k.w, Disp: (s*count + i) * k.v.bytes}, weights[i])
	}
	for at := range k.pixels + k.neighbours() - 1 {
		x := operand.Mem{Base: k.first, Disp: at*k.unit() + s*4}
		if !k.lanewise() && k.v.fuse && k.run*k.blocks == 1 {
			k.VFMADD231PS_BCST(x, weights[0], k.acc[at][0])
			continue
		}
		k.addPixel(at, x, weights, slot)
		if k.extra != nil && at < k.pixels {
			value := k.v.register(k.Context)
			k.VBROADCASTSS(operand.Mem{Base: k.extra, Disp: x.Disp}, value)
			for i, a := range k.acc[at] {
				k.VFMADD231PS(weights[slot(k.run-1, i)], value, a)
			}
		}
	}
}

// addPixel emits acc[at-t][i] += x · weights of (t, i) for all neighbouring taps t and parts i: x
// is source pixel at, one channel of it or, lanewise, all of them.
func (k *convBand) addPixel(at int, x operand.Mem, weights []reg.VecVirtual, slot func(t, i int) int) {
	parts := 1 // of x
	if k.lanewise() {
		parts = k.v.parts
	}
	for h := range parts {
		value := k.v.register(k.Context)
		if k.lanewise() {
			k.VMOVUPS(x.Offset(h*k.v.bytes), value)
		} else {
			k.VBROADCASTSS(x, value)
		}
		for t := max(0, at-k.pixels+1); t <= min(at, k.neighbours()-1); t++ {
			for i := h; i < k.panel(); i += parts {
				if w := slot(t, i); w >= 0 {
					k.VFMADD231PS(weights[w], value, k.acc[at-t][i])
				}
			}
		}
	}
}

// storeSums emits dst = max(floor, acc), and moves dst to the next tile.
func (k *convBand) storeSums() {
	k.Label("store")
	floor := k.v.register(k.Context)
	low, err := k.Param("floor").Resolve()
	if err != nil {
		panic(err)
	}
	k.VBROADCASTSS(low.Addr, floor)
	pixel, strides := convStrides(k.Context, "dstPixel", "dstBlock", k.blocks)
	for q := range k.acc {
		for i, a := range k.acc[q] {
			k.VMAXPS(a, floor, a) // the result is the sum a if one of the two is NaN
			k.VMOVUPS(a, convBlock(k.dst, strides, i/k.v.parts).Offset(i%k.v.parts*k.v.bytes))
		}
		k.ADDQ(pixel, k.dst)
	}
}

// convPrefetch emits a prefetch of the cache line at next into the second-level cache, and moves
// next by a line, at most to the parameter end.
func convPrefetch(c *build.Context, next reg.Register) {
	end, err := c.Param("end").Resolve()
	if err != nil {
		panic(err)
	}
	c.PREFETCHT1(operand.Mem{Base: next})
	c.ADDQ(operand.Imm(cacheLine), next)
	c.CMPQ(next, end.Addr)
	c.CMOVQHI(end.Addr, next)
}

// convStrides emits the loads of two distances in elements, and returns them in bytes: from a pixel
// to the next one, and from block 0 to each block.
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

// convBlock returns the address of block b of a pixel.
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
