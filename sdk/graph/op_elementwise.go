package graph

import (
	"fmt"
	"math"

	"github.com/compressaware/cram/sdk/array"
)

// Neg returns -x.
func (b *Builder) Neg(x Node) Node { return b.emit1(OpNeg, nil, x) }

// Exp returns e^x.
func (b *Builder) Exp(x Node) Node { return b.emit1(OpExp, nil, x) }

// Expm1 returns e^x - 1, exact near zero.
func (b *Builder) Expm1(x Node) Node { return b.emit1(OpExpm1, nil, x) }

// Log returns the natural logarithm of x.
func (b *Builder) Log(x Node) Node { return b.emit1(OpLog, nil, x) }

// Sqrt returns √x.
func (b *Builder) Sqrt(x Node) Node { return b.emit1(OpSqrt, nil, x) }

// Tanh returns tanh x.
func (b *Builder) Tanh(x Node) Node { return b.emit1(OpTanh, nil, x) }

// Sigmoid returns 1/(1+e^-x).
func (b *Builder) Sigmoid(x Node) Node { return b.emit1(OpSigmoid, nil, x) }

// Erf returns the error function of x.
func (b *Builder) Erf(x Node) Node { return b.emit1(OpErf, nil, x) }

// Abs returns |x|; its gradient at 0 is 0.
func (b *Builder) Abs(x Node) Node { return b.emit1(OpAbs, nil, x) }

// Relu returns max(x, 0); its gradient at 0 is 0.
func (b *Builder) Relu(x Node) Node { return b.emit1(OpRelu, nil, x) }

// Scale returns c·x.
func (b *Builder) Scale(x Node, c float64) Node { return b.emit1(OpScale, ScalarAttr{c}, x) }

// Shift returns x + c.
func (b *Builder) Shift(x Node, c float64) Node { return b.emit1(OpShift, ScalarAttr{c}, x) }

// Cast returns x as type d.
func (b *Builder) Cast(x Node, d array.DType) Node {
	if b.Type(x).DType == d {
		return x
	}
	return b.emit1(OpCast, CastAttr{d}, x)
}

// Add returns x + y. As all methods with operands x and y here it broadcasts them to a common shape
// by the rules of NumPy (https://numpy.org/doc/stable/user/basics.broadcasting.html).
func (b *Builder) Add(x, y Node) Node { return b.binary(OpAdd, x, y) }

// Sub returns x - y.
func (b *Builder) Sub(x, y Node) Node { return b.binary(OpSub, x, y) }

// Mul returns x·y, element by element.
func (b *Builder) Mul(x, y Node) Node { return b.binary(OpMul, x, y) }

// Div returns x/y.
func (b *Builder) Div(x, y Node) Node { return b.binary(OpDiv, x, y) }

// Max returns the larger of x and y. Where they are equal, x has the whole gradient.
func (b *Builder) Max(x, y Node) Node { return b.binary(OpMax, x, y) }

// Min returns the smaller of x and y. Where they are equal, x has the whole gradient.
func (b *Builder) Min(x, y Node) Node { return b.binary(OpMin, x, y) }

// Less returns a mask (Bit) with ones where x < y.
func (b *Builder) Less(x, y Node) Node { return b.binary(OpLess, x, y) }

func (b *Builder) binary(op Op, x, y Node) Node {
	if b.owns(string(op), x) && b.owns(string(op), y) {
		s, err := broadcastShape(b.Shape(x), b.Shape(y))
		if err != nil {
			b.Fail("graph: %s: %w", op, err)
		}
		x, y = b.Broadcast(x, s), b.Broadcast(y, s)
	}
	return b.emit1(op, nil, x, y)
}

func broadcastShape(x, y Shape) (Shape, error) {
	if len(x) < len(y) {
		x, y = y, x
	}
	s := append(Shape(nil), x...)
	off := len(x) - len(y)
	for i, d := range y {
		switch e := s[off+i]; {
		case e == Dim{C: 1}:
			s[off+i] = d
		case d != e && d != Dim{C: 1}:
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", x, y)
		}
	}
	return s, nil
}

func needFloat(t Type) error {
	if !t.DType.Float() {
		return fmt.Errorf("want a float type, got %v", t.DType)
	}
	return nil
}

func needSame(in []Type) error {
	for i, t := range in[1:] {
		if !t.Equal(in[0]) {
			return fmt.Errorf("operand %d: want %v, got %v", i+1, in[0], t)
		}
	}
	return nil
}

func inferUnary(in []Type, _ Attr) ([]Type, error) {
	return in[:1:1], needFloat(in[0])
}

func inferBinary(in []Type, _ Attr) ([]Type, error) {
	if err := needFloat(in[0]); err != nil {
		return nil, err
	}
	return in[:1:1], needSame(in)
}

func inferLess(in []Type, _ Attr) ([]Type, error) {
	return []Type{{array.Bit, in[0].Shape}}, needSame(in)
}

func inferCast(in []Type, attr Attr) ([]Type, error) {
	return checked(attr.(CastAttr).DType, in[0].Shape)
}

func gradZero(*Builder, Instr, []Node, []Node, []Node) []Node { return make([]Node, 1) }

func gradNeg(b *Builder, _ Instr, _, _, d []Node) []Node { return []Node{b.Neg(d[0])} }
func gradExp(b *Builder, _ Instr, _, y, d []Node) []Node { return []Node{b.Mul(d[0], y[0])} }
func gradExpm1(b *Builder, _ Instr, _, y, d []Node) []Node {
	return []Node{b.Mul(d[0], b.Shift(y[0], 1))}
}
func gradLog(b *Builder, _ Instr, x, _, d []Node) []Node { return []Node{b.Div(d[0], x[0])} }
func gradSqrt(b *Builder, _ Instr, _, y, d []Node) []Node {
	return []Node{b.Div(b.Scale(d[0], 0.5), y[0])}
}
func gradTanh(b *Builder, _ Instr, _, y, d []Node) []Node {
	return []Node{b.Sub(d[0], b.Mul(d[0], b.Mul(y[0], y[0])))}
}
func gradSigmoid(b *Builder, _ Instr, _, y, d []Node) []Node {
	dy := b.Mul(d[0], y[0])
	return []Node{b.Sub(dy, b.Mul(dy, y[0]))}
}
func gradErf(b *Builder, _ Instr, x, _, d []Node) []Node {
	return []Node{b.Scale(b.Mul(d[0], b.Exp(b.Neg(b.Mul(x[0], x[0])))), 2/math.Sqrt(math.Pi))}
}
func gradAbs(b *Builder, _ Instr, x, _, d []Node) []Node {
	zero := b.ConstLike(x[0], 0)
	return []Node{b.Sub(b.Mask(d[0], b.Less(zero, x[0])), b.Mask(d[0], b.Less(x[0], zero)))}
}
func gradRelu(b *Builder, _ Instr, _, y, d []Node) []Node {
	return []Node{b.emit1(OpReluGrad, nil, d[0], y[0])}
}
func gradReluGrad(b *Builder, _ Instr, in, _, d []Node) []Node {
	return []Node{b.emit1(OpReluGrad, nil, d[0], in[1]), {}}
}
func gradScale(b *Builder, i Instr, _, _, d []Node) []Node {
	return []Node{b.Scale(d[0], i.Attr.(ScalarAttr).C)}
}
func gradShift(_ *Builder, _ Instr, _, _, d []Node) []Node { return []Node{d[0]} }
func gradCast(b *Builder, _ Instr, x, _, d []Node) []Node {
	return []Node{b.Cast(d[0], b.Type(x[0]).DType)}
}

func gradAdd(_ *Builder, _ Instr, _, _, d []Node) []Node { return []Node{d[0], d[0]} }
func gradSub(b *Builder, _ Instr, _, _, d []Node) []Node { return []Node{d[0], b.Neg(d[0])} }
func gradMul(b *Builder, _ Instr, in, _, d []Node) []Node {
	return []Node{b.Mul(d[0], in[1]), b.Mul(d[0], in[0])}
}
func gradDiv(b *Builder, _ Instr, in, z, d []Node) []Node {
	dx := b.Div(d[0], in[1])
	return []Node{dx, b.Neg(b.Mul(dx, z[0]))}
}
func gradMax(b *Builder, _ Instr, in, _, d []Node) []Node {
	dy := b.Mask(d[0], b.Less(in[0], in[1]))
	return []Node{b.Sub(d[0], dy), dy}
}
func gradMin(b *Builder, _ Instr, in, _, d []Node) []Node {
	dy := b.Mask(d[0], b.Less(in[1], in[0]))
	return []Node{b.Sub(d[0], dy), dy}
}
