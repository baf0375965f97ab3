package cpu

import (
	"math"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A tape is a chain of elementwise ops that runs tile by tile. Intermediate results remain in the
// cache.
type tape struct {
	layout layout
	args   []arg
	code   []tapeOp
	outs   []int // results that are stored, by out of the step; that of the last op first
}

// An arg is an operand of a tape.
type arg struct {
	kind  argKind
	in    valueID     // none for a constant
	value float32     // of a constant
	dims  graph.Shape // of a repeated source
}

type argKind uint8

const (
	argFull     argKind = iota // element by element
	argScalar                  // one element for all
	argRepeated                // a broadcast of a smaller tensor
	argBits                    // a mask
	argConstant
)

// A tapeOp is one op of a tape. An operand below len(args) is an arg, any other the result of an
// earlier op.
type tapeOp struct {
	op   graph.Op
	c    float32
	a, b int
}

// A tape has at most so many ops and operands.
const (
	maxTapeOps  = 24
	maxTapeArgs = 16
)

// lowerElementwise makes a tape of one op.
func lowerElementwise(l *lowering, i graph.Instr) error {
	c := 0.0
	if a, ok := i.Attr.(graph.ScalarAttr); ok {
		c = a.C
	}
	t := &tape{layout: l.elementwiseLayout(i)}
	op := tapeOp{op: i.Op, c: float32(c)}
	op.a = t.add(l.operand(i.In[0], t.layout))
	if len(i.In) > 1 {
		op.b = t.add(l.operand(i.In[1], t.layout))
	}
	t.code = []tapeOp{op}
	t.outs = []int{0}
	l.emit(string(i.Op), t, t.ins(), []valueID{l.define(i.Out[0], t.layout)})
	return nil
}

// ins returns the values that the args of a tape read.
func (t *tape) ins() []valueID {
	var in []valueID
	for _, a := range t.args {
		if a.kind != argConstant {
			in = append(in, a.in)
		}
	}
	return in
}

// add returns the reference of an arg and adds the arg if the tape does not have it.
func (t *tape) add(a arg) int {
	for k, b := range t.args {
		if a.kind == b.kind && a.in == b.in && a.value == b.value && a.dims.Equal(b.dims) {
			return k
		}
	}
	t.args = append(t.args, a)
	return len(t.args) - 1
}

// elementwiseLayout is blocked where an operand is and the padded lanes stay zero.
func (l *lowering) elementwiseLayout(i graph.Instr) layout {
	t := l.program.Types[i.Out[0]]
	if !blockable(t) || i.Op == graph.OpMask {
		return plain
	}
	inBlocks := false
	full := true // no operand has anything but zero in padded lanes
	for _, x := range i.In {
		inBlocks = inBlocks || l.isBlocked(x)
		f := &l.layouts[x]
		full = full && f.fill == nil && (f.spread == nil || f.spread.dims.Size() != graph.Dim{C: 1})
	}
	if inBlocks && (t.Shape[1].C%kernels.Block == 0 || full && keepsZero(i.Op)) {
		return blocked
	}
	return plain
}

// keepsZero reports whether an op makes zero of zeros.
func keepsZero(op graph.Op) bool {
	switch op {
	case graph.OpNeg, graph.OpAbs, graph.OpSqrt, graph.OpTanh, graph.OpErf, graph.OpExpm1, graph.OpRelu, graph.OpReluGrad, graph.OpScale,
		graph.OpAdd, graph.OpSub, graph.OpMul, graph.OpMax, graph.OpMin:
		return true
	}
	return false
}

// operand returns how a tape in that layout reads a value of the program.
func (l *lowering) operand(id graph.ID, lay layout) arg {
	f := &l.layouts[id]
	t := l.program.Types[id]
	switch {
	case t.DType == array.Bit:
		return arg{kind: argBits, in: l.plainOf(id)}
	case f.plain != none && lay == plain || f.blocked != none && lay == blocked:
	case f.fill != nil:
		return arg{kind: argConstant, in: none, value: float32(f.fill.Value)}
	case f.spread != nil && f.spread.dims.Size() == graph.Dim{C: 1}:
		return arg{kind: argScalar, in: f.spread.from}
	case f.spread != nil && (lay == plain || perLane(f.spread.dims)):
		return arg{kind: argRepeated, in: f.spread.from, dims: f.spread.dims}
	}
	if lay == blocked {
		return arg{kind: argFull, in: l.blockedOf(id)}
	}
	return arg{kind: argFull, in: l.plainOf(id)}
}

// A boundTape is a tape with its buffers.
type boundTape struct {
	*tape
	in      []bufID  // by arg
	repeats []repeat // by arg
	out     []bufID  // by op: where the result is stored, -1 for scratch
	slot    []int    // by op: the tile of scratch, if it has one
	slots   int
}

func (t *tape) phases(b *binding, s *step) ([]phase, error) {
	y := s.out[0]
	n := b.elements(y)
	bt := &boundTape{tape: t, in: make([]bufID, len(t.args)), repeats: make([]repeat, len(t.args)), out: make([]bufID, len(t.code))}
	ph := phase{cost: float64(len(t.code) + len(t.args))}
	masked := false
	for k, a := range t.args {
		if a.kind == argConstant {
			continue
		}
		bt.in[k] = b.buf(a.in)
		switch a.kind {
		case argFull:
			ph.reads = append(ph.reads, bt.in[k])
			ph.inPlace = append(ph.inPlace, bt.in[k])
		case argBits:
			ph.reads = append(ph.reads, bt.in[k])
			masked = true
		case argRepeated:
			dims, err := a.dims.Bind(b.sizes)
			if err != nil {
				return nil, err
			}
			bt.repeats[k] = newRepeat(dims, b.dims[y], t.layout)
			ph.whole = append(ph.whole, bt.in[k])
		default:
			ph.whole = append(ph.whole, bt.in[k])
		}
	}
	for k := range bt.out {
		bt.out[k] = -1
	}
	for k, r := range t.outs {
		bt.out[r] = b.buf(s.out[k])
		ph.writes = append(ph.writes, bt.out[r])
	}
	bt.assignSlots()
	ph.scratch = (bt.slots + 2) * tile
	if b.varies(y) {
		items := b.dims[y][0]
		each := n / items
		if b.batched(items) && (!masked || each%8 == 0) {
			ph.items, ph.local = items, true
			ph.cost *= float64(each)
			ph.run = func(f *frame, w, i0, i1 int) error {
				bt.run(f, w, i0*each, i1*each, func(id bufID) []float32 { return f.piece(w, id, i0, i1) })
				return nil
			}
			return []phase{ph}, nil
		}
	}
	ph.items = tiles(n)
	ph.cost *= float64(min(n, tile))
	ph.run = func(f *frame, w, i0, i1 int) error {
		e0, e1 := i0*tile, min(i1*tile, n)
		bt.run(f, w, e0, e1, func(id bufID) []float32 { return f.all(id)[e0:e1] })
		return nil
	}
	return []phase{ph}, nil
}

// assignSlots gives every result that is not stored a tile of scratch, until its last use.
func (t *boundTape) assignSlots() {
	last := make([]int, len(t.code))
	for k, op := range t.code {
		for _, ref := range [2]int{op.a, op.b} {
			if r := ref - len(t.args); r >= 0 {
				last[r] = k
			}
		}
	}
	t.slot = make([]int, len(t.code))
	busyUntil := []int{}
	for k := range t.code {
		if t.out[k] >= 0 {
			continue
		}
		s := 0
		// a tile may be read and written by the same op
		for s < len(busyUntil) && busyUntil[s] > k {
			s++
		}
		if s == len(busyUntil) {
			busyUntil = append(busyUntil, 0)
		}
		busyUntil[s], t.slot[k] = last[k], s
	}
	t.slots = len(busyUntil)
}

// run computes the elements e0 ≤ e < e1; slice returns those of a buffer.
func (t *boundTape) run(f *frame, w, e0, e1 int, slice func(bufID) []float32) {
	var args [maxTapeArgs][]float32
	var bits [maxTapeArgs][]byte
	var results, regs [maxTapeArgs + maxTapeOps][]float32
	for k, a := range t.args {
		switch a.kind {
		case argFull:
			args[k] = slice(t.in[k])
		case argBits:
			bits[k] = f.bytes[t.in[k]][e0/8:]
		case argScalar, argRepeated:
			args[k] = f.all(t.in[k])
		}
	}
	for k, id := range t.out {
		if id >= 0 {
			results[k] = slice(id)
		}
	}
	scratch := f.scratch[w]
	spare := [2][]float32{scratch[t.slots*tile:][:tile], scratch[(t.slots+1)*tile:][:tile]}
	for at := 0; at < e1-e0; at += tile {
		n := min(tile, e1-e0-at)
		for k, a := range t.args {
			if a.kind == argFull {
				regs[k] = args[k][at : at+n]
			}
		}
		for k, op := range t.code {
			dst := scratch[t.slot[k]*tile:][:n]
			if t.out[k] >= 0 {
				dst = results[k][at : at+n]
			}
			regs[len(t.args)+k] = dst
			if op.op == graph.OpMask {
				f.isa.Mask(dst, t.fetch(op.a, &regs, &args, spare[0][:n], e0+at), bits[op.b][at/8:])
				continue
			}
			if c, x, ok := t.withScalar(op, &args); ok {
				scalarOp(f.isa, op.op, x, dst, t.fetch(op.full(x), &regs, &args, spare[0][:n], e0+at), c)
				continue
			}
			a := t.fetch(op.a, &regs, &args, spare[0][:n], e0+at)
			b := a
			if binary(op.op) {
				b = t.fetch(op.b, &regs, &args, spare[1][:n], e0+at)
			}
			op.run(f.isa, dst, a, b)
		}
	}
}

// fetch returns a tile of an operand, written to spare where it has no memory of its own.
func (t *boundTape) fetch(ref int, regs *[maxTapeArgs + maxTapeOps][]float32, args *[maxTapeArgs][]float32, spare []float32, at int) []float32 {
	if ref < len(t.args) {
		switch a := t.args[ref]; a.kind {
		case argConstant:
			fillWith(spare, a.value)
			return spare
		case argScalar:
			fillWith(spare, args[ref][0])
			return spare
		case argRepeated:
			t.repeats[ref].read(spare, args[ref], at)
			return spare
		}
	}
	return regs[ref]
}

// withScalar returns the scalar operand of a sum, difference or product of which the other is a
// tile, and which of the two it is.
func (t *boundTape) withScalar(op tapeOp, args *[maxTapeArgs][]float32) (c float32, second, ok bool) {
	if op.op != graph.OpAdd && op.op != graph.OpSub && op.op != graph.OpMul {
		return 0, false, false
	}
	for k, ref := range [2]int{op.a, op.b} {
		if ref < len(t.args) {
			switch a := t.args[ref]; a.kind {
			case argConstant:
				return a.value, k == 1, true
			case argScalar:
				return args[ref][0], k == 1, true
			}
		}
	}
	return 0, false, false
}

// full returns the operand beside the scalar.
func (op tapeOp) full(scalarSecond bool) int {
	if scalarSecond {
		return op.a
	}
	return op.b
}

// scalarOp computes x op c, or c op x where the scalar is the first operand. Both round as the op
// on full tensors does.
func scalarOp(l kernels.InstructionSet, op graph.Op, second bool, dst, x []float32, c float32) {
	switch {
	case op == graph.OpMul:
		l.Scale(dst, x, c)
	case op == graph.OpAdd:
		l.Shift(dst, x, c)
	case second:
		l.Shift(dst, x, -c)
	default:
		l.Neg(dst, x)
		l.Shift(dst, dst, c)
	}
}

func binary(op graph.Op) bool {
	switch op {
	case graph.OpAdd, graph.OpSub, graph.OpMul, graph.OpDiv, graph.OpMax, graph.OpMin, graph.OpReluGrad:
		return true
	}
	return false
}

// run computes one op on a tile.
func (op tapeOp) run(l kernels.InstructionSet, dst, a, b []float32) {
	switch op.op {
	case graph.OpNeg:
		l.Neg(dst, a)
	case graph.OpExp:
		l.Exp(dst, a)
	case graph.OpExpm1:
		l.Expm1(dst, a)
	case graph.OpLog:
		l.Log(dst, a)
	case graph.OpSqrt:
		l.Sqrt(dst, a)
	case graph.OpTanh:
		l.Tanh(dst, a)
	case graph.OpSigmoid:
		sigmoid(dst, a)
	case graph.OpErf:
		l.Erf(dst, a)
	case graph.OpAbs:
		l.Abs(dst, a)
	case graph.OpRelu:
		l.Relu(dst, a)
	case graph.OpScale:
		l.Scale(dst, a, op.c)
	case graph.OpShift:
		l.Shift(dst, a, op.c)
	case graph.OpAdd:
		l.Add(dst, a, b)
	case graph.OpSub:
		l.Sub(dst, a, b)
	case graph.OpMul:
		l.Mul(dst, a, b)
	case graph.OpDiv:
		l.Div(dst, a, b)
	case graph.OpMax:
		// of equals, and where both are NaN, the kernel takes its second operand, the op its first
		l.Max(dst, b, a)
	case graph.OpMin:
		l.Min(dst, b, a)
	case graph.OpReluGrad:
		l.ReluGrad(dst, a, b)
	}
}

// sigmoid sets dst = 1/(1+e^-x), correctly rounded but for rare double rounding: gradients take
// differences of its results near 1.
func sigmoid(dst, x []float32) {
	for i, v := range x {
		dst[i] = float32(1 / (1 + math.Exp(-float64(v))))
	}
}
