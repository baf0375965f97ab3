package graph

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
)

// BatchNorm normalises each channel of x [N C …] by its mean and biased variance in this batch.
// gamma and beta are [C]. It returns y and the two statistics [C]. Gradients flow through y only.
func (b *Builder) BatchNorm(x, gamma, beta Node, eps float64) (y, mean, variance Node) {
	r := b.emit(OpBatchNorm, NormAttr{eps}, x, gamma, beta)
	return r[0], r[1], r[2]
}

// BatchNormInfer normalises each channel of x [N C …] by the given statistics [C].
func (b *Builder) BatchNormInfer(x, gamma, beta, mean, variance Node, eps float64) Node {
	return b.emit1(OpBatchNormInfer, NormAttr{eps}, x, gamma, beta, mean, variance)
}

// LayerNorm normalises x […, D] over its last axis. gamma and beta are [D].
func (b *Builder) LayerNorm(x, gamma, beta Node, eps float64) Node {
	return b.emit1(OpLayerNorm, NormAttr{eps}, x, gamma, beta)
}

// Softmax returns e^x/Σe^x over the last axis.
func (b *Builder) Softmax(x Node) Node { return b.emit1(OpSoftmax, nil, x) }

// CrossEntropy returns the loss [N] of logits [N C] for labels [N], which are I32. A label outside
// [0, C) is an error of the run.
func (b *Builder) CrossEntropy(logits, labels Node) Node {
	return b.emit1(OpCrossEntropy, nil, logits, labels)
}

// perChannel returns the type [C] of x's element type, where C is the size of axis ax of x. It
// returns an error unless all vectors have that type.
func perChannel(x Type, ax int, vectors ...Type) (Type, error) {
	if err := needFloat(x); err != nil {
		return Type{}, err
	}
	if len(x.Shape) < 1 || ax < 0 || ax >= len(x.Shape) || !x.Shape[ax].Fixed() {
		return Type{}, fmt.Errorf("x %v has no constant channel axis %d", x, ax)
	}
	v := Type{x.DType, Shape{x.Shape[ax]}}
	for i, t := range vectors {
		if !t.Equal(v) {
			return Type{}, fmt.Errorf("vector %d: want %v, got %v", i, v, t)
		}
	}
	return v, nil
}

func inferBatchNorm(in []Type, _ Attr) ([]Type, error) {
	v, err := perChannel(in[0], 1, in[1], in[2])
	return []Type{in[0], v, v}, err
}

func inferBatchNormGrad(in []Type, _ Attr) ([]Type, error) {
	if err := needSame(in[:2]); err != nil {
		return nil, err
	}
	v, err := perChannel(in[1], 1, in[2:]...)
	return []Type{in[1], v, v}, err
}

func inferBatchNormInfer(in []Type, _ Attr) ([]Type, error) {
	_, err := perChannel(in[0], 1, in[1:]...)
	return in[:1:1], err
}

func inferLayerNorm(in []Type, _ Attr) ([]Type, error) {
	r := len(in[0].Shape)
	if _, err := perChannel(in[0], r-1, in[1], in[2]); err != nil {
		return nil, err
	}
	s := Type{in[0].DType, in[0].Shape[: r-1 : r-1]}
	return []Type{in[0], s, s}, nil
}

func inferLayerNormGrad(in []Type, _ Attr) ([]Type, error) {
	if err := needSame(in[:2]); err != nil {
		return nil, err
	}
	r := len(in[1].Shape)
	v, err := perChannel(in[1], r-1, in[2])
	if err != nil {
		return nil, err
	}
	if s := (Type{in[1].DType, in[1].Shape[:r-1]}); !in[3].Equal(s) || !in[4].Equal(s) {
		return nil, fmt.Errorf("statistics: want %v, got %v and %v", s, in[3], in[4])
	}
	return []Type{in[1], v, v}, nil
}

// onlyFirst fails if a gradient flows through the second or the third result of a normalisation.
func onlyFirst(b *Builder, i Instr, d []Node) {
	if !d[1].None() || !d[2].None() {
		b.Fail("graph: gradient through the statistics of %s is not defined", i.Op)
	}
}

func gradBatchNorm(b *Builder, i Instr, in, out, d []Node) []Node {
	onlyFirst(b, i, d)
	return b.emit(OpBatchNormGrad, i.Attr, d[0], in[0], in[1], out[1], out[2])
}

func gradLayerNorm(b *Builder, i Instr, in, out, d []Node) []Node {
	onlyFirst(b, i, d)
	return b.emit(OpLayerNormGrad, i.Attr, d[0], in[0], in[1], out[1], out[2])
}

func gradBatchNormInfer(b *Builder, i Instr, in, _, d []Node) []Node {
	x, gamma, mean, variance := in[0], in[1], in[3], in[4]
	s := b.Shape(x)
	channels := make(Shape, len(s))
	var rest []int
	for ax := range s {
		channels[ax] = Dim{C: 1}
		if ax != 1 {
			rest = append(rest, ax)
		}
	}
	channels[1] = s[1]
	wide := func(v Node) Node { return b.Reshape(v, channels) }

	invstd := b.Div(b.ConstLike(variance, 1), b.Sqrt(b.Shift(variance, i.Attr.(NormAttr).Eps)))
	scale := b.Mul(gamma, invstd)
	dbeta := b.Sum(d[0], false, rest...)
	dgamma := b.Mul(b.Sum(b.Mul(d[0], b.Sub(x, wide(mean))), false, rest...), invstd)
	dmean := b.Neg(b.Mul(dbeta, scale))
	dvar := b.Scale(b.Mul(b.Mul(dgamma, gamma), b.Mul(invstd, invstd)), -0.5)
	return []Node{b.Mul(d[0], wide(scale)), dgamma, dbeta, dmean, dvar}
}

func inferSoftmax(in []Type, _ Attr) ([]Type, error) {
	if len(in[0].Shape) == 0 {
		return nil, fmt.Errorf("want rank 1 or more, got %v", in[0])
	}
	return in[:1:1], needFloat(in[0])
}

func gradSoftmax(b *Builder, _ Instr, _, y, d []Node) []Node {
	last := len(b.Shape(y[0])) - 1
	dy := b.Mul(d[0], y[0])
	return []Node{b.Sub(dy, b.Mul(y[0], b.Sum(dy, true, last)))}
}

func inferCrossEntropy(in []Type, _ Attr) ([]Type, error) {
	if err := needFloat(in[0]); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != 2 || in[1].DType != array.I32 || !in[1].Shape.Equal(in[0].Shape[:1]) {
		return nil, fmt.Errorf("want logits [N C] and i32 labels [N], got %v and %v", in[0], in[1])
	}
	return []Type{{in[0].DType, in[1].Shape}}, nil
}

func inferCrossEntropyGrad(in []Type, _ Attr) ([]Type, error) {
	loss, err := inferCrossEntropy(in, nil)
	if err != nil {
		return nil, err
	}
	if !loss[0].Equal(in[2]) {
		return nil, fmt.Errorf("dloss: want %v, got %v", loss[0], in[2])
	}
	return in[:1:1], nil
}

func gradCrossEntropy(b *Builder, _ Instr, in, _, d []Node) []Node {
	return []Node{b.emit1(OpCrossEntropyGrad, nil, in[0], in[1], d[0]), {}}
}
