package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convGradSize is a weight gradient kernel of the blocked kind: runs of that many taps, that many blocks of dy and channels of x. A pair has one more tap,
// found elsewhere: what a stride of 2 makes of a row of 3. The package's tables say the same.
type convGradSize struct {
	run, blocks, chans int
	pair               bool
}

var (
	convGradsAVX512 = []convGradSize{
		{1, 1, 16, false}, {1, 2, 8, false}, {2, 1, 8, false}, {2, 2, 4, false}, {3, 1, 8, false}, {3, 2, 4, false},
		{2, 1, 8, true}, {2, 2, 4, true},
	}
	convGradsAVX2 = []convGradSize{{1, 1, 4, false}}
)

// convGrads emits the kernels of the weight gradient: see convGradTile in the package. budget is how many blocks fit in the registers, beside one value of
// x: the sums of runs·length taps, and the last length pixels of dy.
func convGrads(v convVector, blocked []convGradSize, budget int) func(*build.Context) {
	return func(c *build.Context) {
		for _, s := range blocked {
			convGradBlocked(c, v, s)
		}
		for _, kind := range []string{"Planar", "Lanewise"} {
			for length := 1; length <= 7; length++ {
				for runs := 1; runs <= min(9, (budget-length)/length); runs++ {
					convGradRuns(c, v, kind, length, runs)
				}
			}
		}
	}
}

// convGradBlocked emits the kernel that adds the products of channels of x and the lanes of blocks of dy.
func convGradBlocked(c *build.Context, v convVector, s convGradSize) {
	name, taps := fmt.Sprintf("convGradBlocked%s%dx%dx%d", v.level, s.run, s.blocks, s.chans), s.run
	if s.pair {
		name, taps = fmt.Sprintf("convGradPair%s%dx%dx%d", v.level, s.run, s.blocks, s.chans), s.run+1
	}
	function(c, name, "func(acc, x, dy *float32, groups, accBlock, dyBlock, rows, cols, xRow, dyRow, extraAcc, extraX int, next, end *float32)",
		fmt.Sprintf("%s adds to the sums of a run of %d taps, %d blocks and %d channels. See convGradTile.", name, s.run, s.blocks, s.chans))
	first, acc := c.Load(c.Param("x"), c.GP64()), c.Load(c.Param("acc"), c.GP64())
	groups, next := c.Load(c.Param("groups"), c.GP64()), c.Load(c.Param("next"), c.GP64())
	c.Label("group") // of channels
	x, dy := c.GP64(), c.Load(c.Param("dy"), c.GP64())
	c.MOVQ(first, x)
	accStride, dyStride := reg.Register(nil), reg.Register(nil)
	if s.blocks > 1 {
		accStride, dyStride = c.Load(c.Param("accBlock"), c.GP64()), c.Load(c.Param("dyBlock"), c.GP64())
		c.SHLQ(operand.Imm(2), accStride)
		c.SHLQ(operand.Imm(2), dyStride)
	}
	panel := s.blocks * v.parts
	extra := func(param string, base reg.Register) reg.Register { // where the extra tap of a pair is
		e := c.Load(c.Param(param), c.GP64())
		c.LEAQ(operand.Mem{Base: base, Index: e, Scale: 4}, e)
		return e
	}
	at := func(base reg.Register, t, ch, i int) operand.Mem {
		return convBlock(base, []reg.Register{nil, accStride}, i/v.parts).Offset((t%s.run*16+ch)*convBlockBytes + i%v.parts*v.bytes)
	}
	sums := make([][][]reg.VecVirtual, taps) // by tap, channel, part of the panel
	for t := range sums {
		base := acc
		if t == s.run {
			base = extra("extraAcc", acc)
		}
		sums[t] = make([][]reg.VecVirtual, s.chans)
		for ch := range s.chans {
			for i := range panel {
				r := v.register(c)
				c.VMOVUPS(at(base, t, ch, i), r)
				sums[t][ch] = append(sums[t][ch], r)
			}
		}
	}
	w := convWindow{c: c, v: v, next: next, run: s.run, parts: panel,
		dy: func(i int) operand.Mem {
			return convBlock(dy, []reg.Register{nil, dyStride}, i/v.parts).Offset(i % v.parts * v.bytes)
		},
		advance: func(unit bool) {
			c.ADDQ(operand.Imm(convBlockBytes), x)
			if unit {
				c.ADDQ(operand.Imm(convBlockBytes), dy)
			}
		},
		nextRow: func() {
			convNextRow(c, x, convBlockBytes, s.run-1, "xRow")
			convNextRow(c, dy, convBlockBytes, 0, "dyRow")
		},
	}
	var other reg.Register // from x to the pixel of the extra tap, in bytes
	if s.pair {
		other = c.Load(c.Param("extraX"), c.GP64())
		c.SHLQ(operand.Imm(2), other)
	}
	w.multiply = func(first, last int) {
		for ch := range s.chans {
			channel := operand.Mem{Base: x, Disp: 4 * ch}
			if s.pair && first == 0 {
				value := v.register(c)
				c.VBROADCASTSS(operand.Mem{Base: x, Index: other, Scale: 1, Disp: 4 * ch}, value)
				for i, sum := range sums[s.run][ch] {
					c.VFMADD231PS(w.lanes[0][i], value, sum)
				}
			}
			if v.fuse && panel == 1 && first == last {
				c.VFMADD231PS_BCST(channel, w.lanes[first][0], sums[first][ch][0])
				continue
			}
			value := v.register(c)
			c.VBROADCASTSS(channel, value)
			for t := first; t <= last; t++ {
				for i, sum := range sums[t][ch] {
					c.VFMADD231PS(w.lanes[t][i], value, sum)
				}
			}
		}
	}
	w.emit()
	for t := range sums {
		base := acc
		if t == s.run {
			base = extra("extraAcc", acc)
		}
		for ch := range sums[t] {
			for i, sum := range sums[t][ch] {
				c.VMOVUPS(sum, at(base, t, ch, i))
			}
		}
	}
	c.ADDQ(operand.U32(uint32(s.chans*convBlockBytes)), acc)
	c.ADDQ(operand.Imm(uint64(4*s.chans)), first)
	c.DECQ(groups)
	c.JNE(operand.LabelRef("group"))
	c.VZEROUPPER()
	c.RET()
}

// convGradRuns emits the kernel that adds dy times x at runs offsets and their length-1 neighbours: x one channel, or a block against its own lanes.
func convGradRuns(c *build.Context, v convVector, kind string, length, runs int) {
	name := fmt.Sprintf("convGrad%s%s%dx%d", kind, v.level, length, runs)
	function(c, name, "func(acc, x, dy *float32, offsets *int, rows, cols, xRow, dyRow int, next, end *float32)",
		fmt.Sprintf("%s adds to the sums of %d runs of %d taps. See convGradTile.", name, runs, length))
	unit, parts := 4, 1
	if kind == "Lanewise" {
		unit, parts = convBlockBytes, v.parts
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
	dy, at := c.Load(c.Param("dy"), c.GP64()), c.GP64() // at: bytes into every run
	c.XORQ(at, at)
	w := convWindow{c: c, v: v, next: c.Load(c.Param("next"), c.GP64()), run: length, parts: v.parts,
		dy: func(i int) operand.Mem { return operand.Mem{Base: dy, Disp: i * v.bytes} },
		advance: func(unitOfDy bool) {
			c.ADDQ(operand.Imm(uint64(unit)), at)
			if unitOfDy {
				c.ADDQ(operand.Imm(convBlockBytes), dy)
			}
		},
		nextRow: func() {
			convNextRow(c, at, unit, length-1, "xRow")
			convNextRow(c, dy, convBlockBytes, 0, "dyRow")
		},
	}
	w.multiply = func(first, last int) {
		for r, base := range bases {
			pixel := operand.Mem{Base: base, Index: at, Scale: 1}
			if kind == "Planar" && v.fuse && first == last {
				c.VFMADD231PS_BCST(pixel, w.lanes[first][0], sums[r*length+first][0])
				continue
			}
			for h := range parts {
				value := v.register(c)
				if kind == "Lanewise" {
					c.VMOVUPS(pixel.Offset(h*v.bytes), value)
				} else {
					c.VBROADCASTSS(pixel, value)
				}
				for t := first; t <= last; t++ {
					for i := h; i < v.parts; i += parts {
						c.VFMADD231PS(w.lanes[t][i], value, sums[r*length+t][i])
					}
				}
			}
		}
	}
	w.emit()
	acc = c.Load(c.Param("acc"), c.GP64())
	for t := range sums {
		for h, sum := range sums[t] {
			c.VMOVUPS(sum, operand.Mem{Base: acc, Disp: t*convBlockBytes + h*v.bytes})
		}
	}
	c.VZEROUPPER()
	c.RET()
}

// convWindow walks along rows of x with a window of the last run pixels of dy in registers: pixel p of x meets, under tap t, pixel p-t of dy.
type convWindow struct {
	c          *build.Context
	v          convVector
	next       reg.Register // what to fetch ahead
	run, parts int
	dy         func(part int) operand.Mem  // the next pixel of dy
	multiply   func(firstTap, lastTap int) // the pixel of x with the pixels of dy under those taps
	advance    func(dy bool)               // to the next pixel of x, and of dy
	nextRow    func()                      // of x and dy
	lanes      [][]reg.VecVirtual          // by tap, then part
}

// emit writes the loops. A row begins with steps whose later taps would lie before dy, and ends with steps whose earlier taps would lie behind it: cols
// must be at least run-1.
func (w *convWindow) emit() {
	c := w.c
	rows := c.Load(c.Param("rows"), c.GP64())
	for range w.run {
		var tap []reg.VecVirtual
		for range w.parts {
			tap = append(tap, w.v.register(c))
		}
		w.lanes = append(w.lanes, tap)
	}
	shift := func() {
		for t := w.run - 1; t > 0; t-- {
			for i := range w.parts {
				c.VMOVAPS(w.lanes[t-1][i], w.lanes[t][i])
			}
		}
	}
	load := func() {
		for i := range w.parts {
			c.VMOVUPS(w.dy(i), w.lanes[0][i])
		}
	}
	for t := range w.run { // so that every register of the window is written before it is moved
		for i := range w.parts {
			c.VXORPS(w.lanes[t][i].(reg.Vec).AsX(), w.lanes[t][i].(reg.Vec).AsX(), w.lanes[t][i].(reg.Vec).AsX())
		}
	}
	c.Label("row")
	for p := range w.run - 1 {
		shift()
		load()
		w.multiply(0, p)
		w.advance(true)
	}
	cols := c.Load(c.Param("cols"), c.GP64())
	if w.run > 1 {
		c.SUBQ(operand.Imm(uint64(w.run-1)), cols)
		c.JE(operand.LabelRef("end"))
	}
	c.Label("pixel")
	convPrefetch(c, w.next)
	shift()
	load()
	w.multiply(0, w.run-1)
	w.advance(true)
	c.DECQ(cols)
	c.JNE(operand.LabelRef("pixel"))
	if w.run > 1 {
		c.Label("end")
	}
	for first := 1; first < w.run; first++ {
		shift()
		w.multiply(first, w.run-1)
		w.advance(false)
	}
	w.nextRow()
	c.DECQ(rows)
	c.JNE(operand.LabelRef("row"))
}

// convNextRow moves a pointer that stands cols+extra pixels of unit bytes into a row to the next row.
func convNextRow(c *build.Context, pointer reg.Register, unit, extra int, row string) {
	back := c.Load(c.Param("cols"), c.GP64())
	c.IMUL3Q(operand.U32(uint32(unit)), back, back)
	c.SUBQ(back, pointer)
	pitch := c.Load(c.Param(row), c.GP64())
	c.LEAQ(operand.Mem{Base: pointer, Index: pitch, Scale: 4, Disp: -extra * unit}, pointer)
}
