package graph

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
)

// TopKMask returns a mask for each of ws. Together they have exactly k ones, at the largest |w| of
// all ws; of equal ones the first counts, in the order of ws. NaN ranks above every number. See
// "Global" in section 2 of https://arxiv.org/abs/2207.14200.
func (b *Builder) TopKMask(k int, ws ...Node) []Node {
	return b.emit(OpTopKMask, TopKAttr{k}, ws...)
}

// NMMask returns a mask with ones at the n largest |w| of each m consecutive weights along axis.
// See "N:M" in section 2 of https://arxiv.org/abs/2207.14200.
func (b *Builder) NMMask(w Node, n, m, axis int) Node {
	return b.emit1(OpNMMask, NMAttr{n, m, axis}, w)
}

// BlockMask returns a mask for each of ws. Together they have ones in exactly k blocks, those with
// the largest Σ|w|, summed in float64 in the order of indices. A block is size consecutive indices
// of axis 0; its other indices are the same.
func (b *Builder) BlockMask(k, size int, ws ...Node) []Node {
	return b.emit(OpBlockMask, BlockAttr{k, size}, ws...)
}

// Mask returns x where mask is one, and 0 elsewhere. By this op a backend recognises a sparse
// weight.
func (b *Builder) Mask(x, mask Node) Node { return b.emit1(OpMask, nil, x, mask) }

// masks returns the types of the masks of weights.
func masks(in []Type) ([]Type, error) {
	out := make([]Type, len(in))
	for i, t := range in {
		if err := needFloat(t); err != nil {
			return nil, err
		}
		if !t.Shape.Size().Fixed() || t.DType != in[0].DType {
			return nil, fmt.Errorf("operand %d: want a constant shape and type %v, got %v", i, in[0].DType, t)
		}
		out[i] = Type{array.Bit, t.Shape}
	}
	return out, nil
}

func inferTopK(in []Type, attr Attr) ([]Type, error) {
	out, err := masks(in)
	if err != nil {
		return nil, err
	}
	return out, checkK(attr.(TopKAttr).K, 1, in)
}

// checkK returns an error unless the operands have k blocks or more, of so many elements.
func checkK(k, block int, in []Type) error {
	total := 0
	for _, t := range in {
		total += t.Shape.Size().C / block
	}
	if k < 0 || k > total {
		return fmt.Errorf("want a k of 0 to %d, got %d", total, k)
	}
	return nil
}

func inferNM(in []Type, attr Attr) ([]Type, error) {
	a := attr.(NMAttr)
	out, err := masks(in)
	if err != nil {
		return nil, err
	}
	s := in[0].Shape
	if a.Axis < 0 || a.Axis >= len(s) || a.M < 1 || a.N < 0 || a.N > a.M || s[a.Axis].C%a.M != 0 {
		return nil, fmt.Errorf("%d:%d does not fit axis %d of %v", a.N, a.M, a.Axis, in[0])
	}
	return out, nil
}

func inferBlock(in []Type, attr Attr) ([]Type, error) {
	a := attr.(BlockAttr)
	out, err := masks(in)
	if err != nil {
		return nil, err
	}
	for i, t := range in {
		if a.Size < 1 || len(t.Shape) < 1 || t.Shape[0].C%a.Size != 0 {
			return nil, fmt.Errorf("operand %d: blocks of %d do not fit axis 0 of %v", i, a.Size, t)
		}
	}
	return out, checkK(a.K, a.Size, in)
}

func inferMask(in []Type, _ Attr) ([]Type, error) {
	if err := needFloat(in[0]); err != nil {
		return nil, err
	}
	if want := (Type{array.Bit, in[0].Shape}); !in[1].Equal(want) {
		return nil, fmt.Errorf("mask: want %v, got %v", want, in[1])
	}
	return in[:1:1], nil
}

func gradMask(b *Builder, _ Instr, in, _, d []Node) []Node {
	return []Node{b.Mask(d[0], in[1]), {}}
}
