package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convGradSize is a weight gradient kernel of kind blocked: the taps of a run, the blocks of dy and
// the channels of x that it multiplies at a time. A split run has one more tap at another offset.
// The tables of package kernels contain the same sizes.
type convGradSize struct {
	run, blocks, chans int
	split              bool
}

var (
	convGradsAVX512 = []convGradSize{
		{1, 1, 16, false}, {1, 2, 8, false}, {2, 1, 8, false}, {2, 2, 4, false}, {3, 1, 8, false}, {3, 2, 4, false},
		{2, 1, 8, true}, {2, 2, 4, true},
	}
	convGradsAVX2 = []convGradSize{{1, 1, 4, false}}
)

// convGrads returns a function that emits the kernels of the weight gradient. budget is the number
// of blocks of 16 values that the registers hold in addition to one value of x: the sums of
// runs·length taps and the last length pixels of dy.
func convGrads(v convVector, blocked []convGradSize, budget int) func(*build.Context) {
	return func(c *build.Context) {
		for _, s := range blocked {
			(&convGradBlocked{Context: c, v: v, convGradSize: s}).emit()
		}
		for _, kind := range []string{"Planar", "Lanewise"} {
			for length := 1; length <= 7; length++ {
				for runs := 1; runs <= min(9, (budget-length)/length); runs++ {
					(&convGradRuns{Context: c, v: v, kind: kind, length: length, runs: runs}).emit()
				}
			}
		}
	}
}

// convGradBlocked emits a weight gradient kernel of kind blocked: see convGradTile in package
// kernels for its formula. The kernel keeps the sums of the taps of a run, chans channels and
// blocks blocks in registers:
//
//	for each group of chans channels
//	  sums[t][c][b] = acc
//	  for each row and pixel p of x
//	    sums[t][c][b] += x[p][c] · dy[b][p-t]
//	  acc = sums
type convGradBlocked struct {
	*build.Context
	v convVector
	convGradSize

	x, dy, acc reg.Register
	// bytes from a block to the next one, nil for one block
	accStride, dyStride reg.Register
	// by tap, channel, part of the panel; the extra tap is last
	sums  [][][]reg.VecVirtual
	extra reg.Register // bytes from x to the pixel of the extra tap
}

// panel returns the registers that contain one pixel of a panel.
func (k *convGradBlocked) panel() int { return k.blocks * k.v.parts }

func (k *convGradBlocked) emit() {
	kind, taps := "Blocked", k.run
	if k.split {
		kind, taps = "Pair", k.run+1
	}
	name := fmt.Sprintf("convGrad%s%s%dx%dx%d", kind, k.v.name, k.run, k.blocks, k.chans)
	function(k.Context, name, "func(acc, x, dy *float32, groups, accBlock, dyBlock, rows, cols, xRow, dyRow, "+
		"extraAcc, extraX int, next, end *float32)",
		fmt.Sprintf("%s adds to the sums of a run of %d taps, %d blocks and %d channels. See convGradTile.",
			name, k.run, k.blocks, k.chans))
	first := k.Load(k.Param("x"), k.GP64())
	k.acc = k.Load(k.Param("acc"), k.GP64())
	groups, next := k.Load(k.Param("groups"), k.GP64()), k.Load(k.Param("next"), k.GP64())
	k.Label("group")
	k.x, k.dy = k.GP64(), k.Load(k.Param("dy"), k.GP64())
	k.MOVQ(first, k.x)
	if k.blocks > 1 {
		k.accStride, k.dyStride = k.Load(k.Param("accBlock"), k.GP64()), k.Load(k.Param("dyBlock"), k.GP64())
		k.SHLQ(operand.Imm(2), k.accStride)
		k.SHLQ(operand.Imm(2), k.dyStride)
	}
	k.loadSums(taps)
	if k.split {
		k.extra = k.Load(k.Param("extraX"), k.GP64())
		k.SHLQ(operand.Imm(2), k.extra)
	}
	w := convWindow{c: k.Context, v: k.v, next: next, run: k.run, parts: k.panel()}
	w.emit(k)
	k.storeSums()
	k.ADDQ(operand.U32(uint32(k.chans*blockBytes)), k.acc)
	k.ADDQ(operand.Imm(uint64(4*k.chans)), first)
	k.DECQ(groups)
	k.JNE(operand.LabelRef("group"))
	k.VZEROUPPER()
	k.RET()
}

// loadSums emits sums = acc.
func (k *convGradBlocked) loadSums(taps int) {
	k.sums = make([][][]reg.VecVirtual, taps)
	for t := range k.sums {
		base := k.tapBase(t)
		k.sums[t] = make([][]reg.VecVirtual, k.chans)
		for ch := range k.chans {
			for i := range k.panel() {
				r := k.v.register(k.Context)
				k.VMOVUPS(k.sum(base, t, ch, i), r)
				k.sums[t][ch] = append(k.sums[t][ch], r)
			}
		}
	}
}

// storeSums emits acc = sums.
func (k *convGradBlocked) storeSums() {
	for t := range k.sums {
		base := k.tapBase(t)
		for ch := range k.sums[t] {
			for i, sum := range k.sums[t][ch] {
				k.VMOVUPS(sum, k.sum(base, t, ch, i))
			}
		}
	}
}

// tapBase returns the register from which sum counts for tap t. The extra tap needs one of its own.
func (k *convGradBlocked) tapBase(t int) reg.Register {
	if t < k.run {
		return k.acc
	}
	e := k.Load(k.Param("extraAcc"), k.GP64())
	k.LEAQ(operand.Mem{Base: k.acc, Index: e, Scale: 4}, e)
	return e
}

// sum returns the address in acc of tap t, channel ch and part i of the panel.
func (k *convGradBlocked) sum(base reg.Register, t, ch, i int) operand.Mem {
	block := convBlock(base, []reg.Register{nil, k.accStride}, i/k.v.parts)
	return block.Offset((t%k.run*16+ch)*blockBytes + i%k.v.parts*k.v.bytes)
}

func (k *convGradBlocked) dyPart(i int) operand.Mem {
	return convBlock(k.dy, []reg.Register{nil, k.dyStride}, i/k.v.parts).Offset(i % k.v.parts * k.v.bytes)
}

func (k *convGradBlocked) multiply(lanes [][]reg.VecVirtual, first, last int) {
	for ch := range k.chans {
		channel := operand.Mem{Base: k.x, Disp: 4 * ch}
		if k.split && first == 0 {
			value := k.v.register(k.Context)
			k.VBROADCASTSS(operand.Mem{Base: k.x, Index: k.extra, Scale: 1, Disp: 4 * ch}, value)
			for i, sum := range k.sums[k.run][ch] {
				k.VFMADD231PS(lanes[0][i], value, sum)
			}
		}
		if k.v.fuse && k.panel() == 1 && first == last {
			k.VFMADD231PS_BCST(channel, lanes[first][0], k.sums[first][ch][0])
			continue
		}
		value := k.v.register(k.Context)
		k.VBROADCASTSS(channel, value)
		for t := first; t <= last; t++ {
			for i, sum := range k.sums[t][ch] {
				k.VFMADD231PS(lanes[t][i], value, sum)
			}
		}
	}
}

func (k *convGradBlocked) advance(dy bool) {
	k.ADDQ(operand.Imm(blockBytes), k.x)
	if dy {
		k.ADDQ(operand.Imm(blockBytes), k.dy)
	}
}

func (k *convGradBlocked) nextRow() {
	convNextRow(k.Context, k.x, blockBytes, k.run-1, "xRow")
	convNextRow(k.Context, k.dy, blockBytes, 0, "dyRow")
}

// convGradRuns emits a weight gradient kernel of kind planar or lanewise: see convGradTile in
// package kernels. It adds to the sums of runs runs of length taps each. Run r reads x from
// offsets[r] on: one channel (planar), or a block of channels lane by lane (lanewise).
type convGradRuns struct {
	*build.Context
	v            convVector
	kind         string
	length, runs int

	bases []reg.Register // by run: x + offsets[r]
	at    reg.Register   // bytes from each base to the current pixel
	dy    reg.Register
	sums  [][]reg.VecVirtual // by r·length + t, then part of the block
}

// lanewise reports whether a lane of x is multiplied with the same lane of dy only.
func (k *convGradRuns) lanewise() bool { return k.kind == "Lanewise" }

// unit returns the bytes of a pixel of x.
func (k *convGradRuns) unit() int {
	if k.lanewise() {
		return blockBytes
	}
	return 4
}

func (k *convGradRuns) emit() {
	name := fmt.Sprintf("convGrad%s%s%dx%d", k.kind, k.v.name, k.length, k.runs)
	function(k.Context, name, "func(acc, x, dy *float32, offsets *int, rows, cols, xRow, dyRow int, next, end *float32)",
		fmt.Sprintf("%s adds to the sums of %d runs of %d taps. See convGradTile.", name, k.runs, k.length))
	x, offsets := k.Load(k.Param("x"), k.GP64()), k.Load(k.Param("offsets"), k.GP64())
	for r := range k.runs {
		base := k.GP64()
		k.MOVQ(operand.Mem{Base: offsets, Disp: 8 * r}, base)
		k.LEAQ(operand.Mem{Base: x, Index: base, Scale: 4}, base)
		k.bases = append(k.bases, base)
	}
	acc := k.Load(k.Param("acc"), k.GP64())
	k.sums = make([][]reg.VecVirtual, k.runs*k.length)
	for t := range k.sums {
		for h := range k.v.parts {
			r := k.v.register(k.Context)
			k.VMOVUPS(operand.Mem{Base: acc, Disp: t*blockBytes + h*k.v.bytes}, r)
			k.sums[t] = append(k.sums[t], r)
		}
	}
	k.dy, k.at = k.Load(k.Param("dy"), k.GP64()), k.GP64()
	k.XORQ(k.at, k.at)
	w := convWindow{c: k.Context, v: k.v, next: k.Load(k.Param("next"), k.GP64()), run: k.length, parts: k.v.parts}
	w.emit(k)
	acc = k.Load(k.Param("acc"), k.GP64())
	for t := range k.sums {
		for h, sum := range k.sums[t] {
			k.VMOVUPS(sum, operand.Mem{Base: acc, Disp: t*blockBytes + h*k.v.bytes})
		}
	}
	k.VZEROUPPER()
	k.RET()
}

func (k *convGradRuns) dyPart(i int) operand.Mem {
	return operand.Mem{Base: k.dy, Disp: i * k.v.bytes}
}

func (k *convGradRuns) multiply(lanes [][]reg.VecVirtual, first, last int) {
	parts := 1 // of x
	if k.lanewise() {
		parts = k.v.parts
	}
	for r, base := range k.bases {
		pixel := operand.Mem{Base: base, Index: k.at, Scale: 1}
		if !k.lanewise() && k.v.fuse && first == last {
			k.VFMADD231PS_BCST(pixel, lanes[first][0], k.sums[r*k.length+first][0])
			continue
		}
		for h := range parts {
			value := k.v.register(k.Context)
			if k.lanewise() {
				k.VMOVUPS(pixel.Offset(h*k.v.bytes), value)
			} else {
				k.VBROADCASTSS(pixel, value)
			}
			for t := first; t <= last; t++ {
				for i := h; i < k.v.parts; i += parts {
					k.VFMADD231PS(lanes[t][i], value, k.sums[r*k.length+t][i])
				}
			}
		}
	}
}

func (k *convGradRuns) advance(dy bool) {
	k.ADDQ(operand.Imm(uint64(k.unit())), k.at)
	if dy {
		k.ADDQ(operand.Imm(blockBytes), k.dy)
	}
}

func (k *convGradRuns) nextRow() {
	convNextRow(k.Context, k.at, k.unit(), k.length-1, "xRow")
	convNextRow(k.Context, k.dy, blockBytes, 0, "dyRow")
}

// convGradBody is the part of a weight gradient kernel that a convWindow emits inside its loops.
type convGradBody interface {
	dyPart(i int) operand.Mem // the address of part i of the current pixel of dy
	// multiply emits the multiply-adds of the current pixel of x with lanes[t], for the taps
	// first ≤ t ≤ last.
	multiply(lanes [][]reg.VecVirtual, first, last int)
	advance(dy bool) // moves to the next pixel of x and, if dy is set, of dy
	nextRow()        // moves to the next row of x and dy
}

// convWindow emits the loops over the rows and pixels of x. The last run pixels of dy are in
// registers: lanes[t] is dy pixel p-t while the kernel processes pixel p of x. Each row has three
// phases:
//
//	p < run-1              pixel p-t exists for t ≤ p only
//	run-1 ≤ p < cols       for all taps
//	cols ≤ p < cols+run-1  for t > p-cols only
//
// cols is at least run-1.
type convWindow struct {
	c          *build.Context
	v          convVector
	next       reg.Register // address of the next prefetch
	run, parts int
	lanes      [][]reg.VecVirtual // by tap, then part
}

func (w *convWindow) emit(k convGradBody) {
	c := w.c
	rows := c.Load(c.Param("rows"), c.GP64())
	w.clear()
	c.Label("row")
	for p := range w.run - 1 {
		w.shift()
		w.load(k)
		k.multiply(w.lanes, 0, p)
		k.advance(true)
	}
	cols := c.Load(c.Param("cols"), c.GP64())
	if w.run > 1 {
		c.SUBQ(operand.Imm(uint64(w.run-1)), cols)
		c.JE(operand.LabelRef("end"))
	}
	c.Label("pixel")
	convPrefetch(c, w.next)
	w.shift()
	w.load(k)
	k.multiply(w.lanes, 0, w.run-1)
	k.advance(true)
	c.DECQ(cols)
	c.JNE(operand.LabelRef("pixel"))
	if w.run > 1 {
		c.Label("end")
	}
	for first := 1; first < w.run; first++ {
		w.shift()
		k.multiply(w.lanes, first, w.run-1)
		k.advance(false)
	}
	k.nextRow()
	c.DECQ(rows)
	c.JNE(operand.LabelRef("row"))
}

// clear allocates the registers of the window and sets them to zero. Without that the allocator
// would see shift read registers that nothing has written.
func (w *convWindow) clear() {
	for range w.run {
		var tap []reg.VecVirtual
		for range w.parts {
			tap = append(tap, w.v.register(w.c))
		}
		w.lanes = append(w.lanes, tap)
	}
	for _, tap := range w.lanes {
		for _, r := range tap {
			x := r.(reg.Vec).AsX()
			w.c.VXORPS(x, x, x)
		}
	}
}

// shift emits lanes[t] = lanes[t-1] for t > 0.
func (w *convWindow) shift() {
	for t := w.run - 1; t > 0; t-- {
		for i := range w.parts {
			w.c.VMOVAPS(w.lanes[t-1][i], w.lanes[t][i])
		}
	}
}

// load emits lanes[0] = the current pixel of dy.
func (w *convWindow) load(k convGradBody) {
	for i := range w.parts {
		w.c.VMOVUPS(k.dyPart(i), w.lanes[0][i])
	}
}

// convNextRow emits the move of a pointer, cols+extra pixels of unit bytes into a row, to the next
// row.
func convNextRow(c *build.Context, pointer reg.Register, unit, extra int, row string) {
	back := c.Load(c.Param("cols"), c.GP64())
	c.IMUL3Q(operand.U32(uint32(unit)), back, back)
	c.SUBQ(back, pointer)
	pitch := c.Load(c.Param(row), c.GP64())
	c.LEAQ(operand.Mem{Base: pointer, Index: pitch, Scale: 4, Disp: -extra * unit}, pointer)
}
