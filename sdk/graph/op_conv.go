package graph

import "fmt"

// MatMul multiplies matrices: x [… M K] times y [… K N] is [… M N]. With transA x is [… K M], with
// transB y is [… N K]. The leading axes of x and y are equal.
func (b *Builder) MatMul(x, y Node, transA, transB bool) Node {
	return b.emit1(OpMatMul, MatMulAttr{transA, transB}, x, y)
}

// Conv2D convolves x [N C H W] with w [O C/groups KH KW]. A zero in a.Stride and a.Groups means 1.
func (b *Builder) Conv2D(x, w Node, a ConvAttr) Node {
	for i := range a.Stride {
		if a.Stride[i] == 0 {
			a.Stride[i] = 1
		}
	}
	if a.Groups == 0 {
		a.Groups = 1
	}
	return b.emit1(OpConv2D, a, x, w)
}

// MaxPool returns the maximum of each window of x [N C H W]. A zero in a.Stride means the size of
// the kernel.
func (b *Builder) MaxPool(x Node, a PoolAttr) Node { return b.emit1(OpMaxPool, a.defaults(), x) }

// AvgPool returns the mean of each window of x [N C H W]. A zero in a.Stride means the size of the
// kernel.
func (b *Builder) AvgPool(x Node, a PoolAttr) Node { return b.emit1(OpAvgPool, a.defaults(), x) }

func (a PoolAttr) defaults() PoolAttr {
	for i := range a.Stride {
		if a.Stride[i] == 0 {
			a.Stride[i] = a.Kernel[i]
		}
	}
	return a
}

func inferMatMul(in []Type, attr Attr) ([]Type, error) {
	a := attr.(MatMulAttr)
	x, y := in[0], in[1]
	if err := needFloat(x); err != nil {
		return nil, err
	}
	r := len(x.Shape)
	if x.DType != y.DType || r < 2 || len(y.Shape) != r || !x.Shape[:r-2].Equal(y.Shape[:r-2]) {
		return nil, fmt.Errorf("want two arrays of matrices with equal type and leading axes, got %v and %v", x, y)
	}
	m, k := x.Shape[r-2], x.Shape[r-1]
	if a.TransA {
		m, k = k, m
	}
	k2, n := y.Shape[r-2], y.Shape[r-1]
	if a.TransB {
		k2, n = n, k2
	}
	if k != k2 {
		return nil, fmt.Errorf("inner dimensions differ: %v and %v (operands %v, %v; trans %v, %v)", k, k2, x, y, a.TransA, a.TransB)
	}
	s := append(append(Shape(nil), x.Shape[:r-2]...), m, n)
	return []Type{{x.DType, s}}, nil
}

func gradMatMul(b *Builder, i Instr, in, _, d []Node) []Node {
	a := i.Attr.(MatMulAttr)
	x, y, dz := in[0], in[1], d[0]
	dx := b.MatMul(dz, y, false, !a.TransB)
	if a.TransA {
		dx = b.MatMul(y, dz, a.TransB, true)
	}
	dy := b.MatMul(x, dz, !a.TransA, false)
	if a.TransB {
		dy = b.MatMul(dz, x, true, a.TransA)
	}
	return []Node{dx, dy}
}

// image returns the channels, the height and the width of t [N C H W], which are constant.
func image(what string, t Type) (c, h, w int, err error) {
	if err := needFloat(t); err != nil {
		return 0, 0, 0, fmt.Errorf("%s: %w", what, err)
	}
	if len(t.Shape) != 4 {
		return 0, 0, 0, fmt.Errorf("%s: want rank 4, got %v", what, t)
	}
	for i := 1; i < 4; i++ {
		if !t.Shape[i].Fixed() {
			return 0, 0, 0, fmt.Errorf("%s: want constant channels, height and width, got axis %d of %v", what, i, t)
		}
	}
	return t.Shape[1].C, t.Shape[2].C, t.Shape[3].C, nil
}

// window returns the height and width of the result of windows k over an h×w image.
func window(h, w int, k, stride [2]int, pad [4]int) (oh, ow int, err error) {
	for _, p := range pad {
		if p < 0 {
			return 0, 0, fmt.Errorf("want a padding of 0 or more, got %v", pad)
		}
	}
	if stride[0] < 1 || stride[1] < 1 || k[0] < 1 || k[1] < 1 {
		return 0, 0, fmt.Errorf("want 1 or more, got kernel %v and stride %v", k, stride)
	}
	ph, pw := h+pad[0]+pad[1], w+pad[2]+pad[3]
	if k[0] > ph || k[1] > pw {
		return 0, 0, fmt.Errorf("kernel %v is larger than the padded image %d×%d", k, ph, pw)
	}
	return (ph-k[0])/stride[0] + 1, (pw-k[1])/stride[1] + 1, nil
}

func inferConv2D(in []Type, attr Attr) ([]Type, error) {
	a := attr.(ConvAttr)
	c, h, w, err := image("x", in[0])
	if err != nil {
		return nil, err
	}
	cg, kh, kw, err := image("w", in[1])
	if err != nil {
		return nil, err
	}
	o := in[1].Shape[0]
	switch {
	case in[0].DType != in[1].DType:
		return nil, fmt.Errorf("x is %v, w is %v", in[0].DType, in[1].DType)
	case !o.Fixed() || a.Groups < 1 || o.C%a.Groups != 0:
		return nil, fmt.Errorf("%v output channels do not divide into %d groups", o, a.Groups)
	case cg*a.Groups != c:
		return nil, fmt.Errorf("w %v with %d groups wants %d input channels, x %v has %d", in[1], a.Groups, cg*a.Groups, in[0], c)
	}
	oh, ow, err := window(h, w, [2]int{kh, kw}, a.Stride, a.Pad)
	if err != nil {
		return nil, err
	}
	return []Type{{in[0].DType, Shape{in[0].Shape[0], o, {C: oh}, {C: ow}}}}, nil
}

func inferConv2DDX(in []Type, attr Attr) ([]Type, error) {
	a := attr.(ConvAttr)
	if _, _, _, err := image("w", in[1]); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != 4 {
		return nil, fmt.Errorf("dy: want rank 4, got %v", in[0])
	}
	x := Type{in[1].DType, Shape{in[0].Shape[0], {C: in[1].Shape[1].C * a.Groups}, {C: a.Size[0]}, {C: a.Size[1]}}}
	return []Type{x}, sameConv(x, in[1], in[0], a)
}

func inferConv2DDW(in []Type, attr Attr) ([]Type, error) {
	a := attr.(ConvAttr)
	c, _, _, err := image("x", in[0])
	if err != nil {
		return nil, err
	}
	if len(in[1].Shape) != 4 || a.Groups < 1 || c%a.Groups != 0 {
		return nil, fmt.Errorf("x %v, dy %v with %d groups", in[0], in[1], a.Groups)
	}
	w := Type{in[0].DType, Shape{in[1].Shape[1], {C: c / a.Groups}, {C: a.Size[0]}, {C: a.Size[1]}}}
	return []Type{w}, sameConv(in[0], w, in[1], a)
}

// sameConv returns an error unless the convolution of x with w has the type y.
func sameConv(x, w, y Type, a ConvAttr) error {
	for _, t := range []Type{x, w} {
		if err := t.Shape.valid(); err != nil {
			return err
		}
	}
	want, err := inferConv2D([]Type{x, w}, a)
	if err != nil {
		return err
	}
	if !want[0].Equal(y) {
		return fmt.Errorf("want dy %v, got %v", want[0], y)
	}
	return nil
}

func (b *Builder) sizeOf(n Node) [2]int {
	s := b.Shape(n)
	if len(s) != 4 {
		return [2]int{}
	}
	return [2]int{s[2].C, s[3].C}
}

func (b *Builder) conv2dDX(dy, w Node, a ConvAttr, size [2]int) Node {
	a.Size = size
	return b.emit1(OpConv2DDX, a, dy, w)
}

func (b *Builder) conv2dDW(x, dy Node, a ConvAttr, size [2]int) Node {
	a.Size = size
	return b.emit1(OpConv2DDW, a, x, dy)
}

func gradConv2D(b *Builder, i Instr, in, _, d []Node) []Node {
	a := i.Attr.(ConvAttr)
	x, w := in[0], in[1]
	return []Node{b.conv2dDX(d[0], w, a, b.sizeOf(x)), b.conv2dDW(x, d[0], a, b.sizeOf(w))}
}

func gradConv2DDX(b *Builder, i Instr, in, _, d []Node) []Node {
	a := i.Attr.(ConvAttr)
	a.Size = [2]int{}
	dy, w := in[0], in[1]
	return []Node{b.Conv2D(d[0], w, a), b.conv2dDW(d[0], dy, a, b.sizeOf(w))}
}

func gradConv2DDW(b *Builder, i Instr, in, _, d []Node) []Node {
	a := i.Attr.(ConvAttr)
	a.Size = [2]int{}
	x, dy := in[0], in[1]
	return []Node{b.conv2dDX(dy, d[0], a, b.sizeOf(x)), b.Conv2D(x, d[0], a)}
}

func inferPool(in []Type, attr Attr) ([]Type, error) {
	a := attr.(PoolAttr)
	_, h, w, err := image("x", in[0])
	if err != nil {
		return nil, err
	}
	for i, p := range a.Pad {
		if 2*p > a.Kernel[i/2] {
			return nil, fmt.Errorf("want a padding of at most half of the kernel %[2]v, got %[1]v", a.Pad, a.Kernel)
		}
	}
	oh, ow, err := window(h, w, a.Kernel, a.Stride, a.Pad)
	if err != nil {
		return nil, err
	}
	return []Type{{in[0].DType, Shape{in[0].Shape[0], in[0].Shape[1], {C: oh}, {C: ow}}}}, nil
}

func inferMaxPoolGrad(in []Type, attr Attr) ([]Type, error) {
	y, err := inferPool(in[1:], attr)
	if err != nil {
		return nil, err
	}
	if !y[0].Equal(in[0]) {
		return nil, fmt.Errorf("want dy %v, got %v", y[0], in[0])
	}
	return in[1:2:2], nil
}

func inferAvgPoolGrad(in []Type, attr Attr) ([]Type, error) {
	a := attr.(PoolAttr)
	if len(in[0].Shape) != 4 {
		return nil, fmt.Errorf("dy: want rank 4, got %v", in[0])
	}
	x := Type{in[0].DType, Shape{in[0].Shape[0], in[0].Shape[1], {C: a.Size[0]}, {C: a.Size[1]}}}
	if err := x.Shape.valid(); err != nil {
		return nil, err
	}
	y, err := inferPool([]Type{x}, a)
	if err != nil {
		return nil, err
	}
	if !y[0].Equal(in[0]) {
		return nil, fmt.Errorf("want dy %v, got %v", y[0], in[0])
	}
	return []Type{x}, nil
}

func gradMaxPool(b *Builder, i Instr, x, _, d []Node) []Node {
	return []Node{b.emit1(OpMaxPoolGrad, i.Attr, d[0], x[0])}
}

func gradAvgPool(b *Builder, i Instr, x, _, d []Node) []Node {
	a := i.Attr.(PoolAttr)
	a.Size = b.sizeOf(x[0])
	return []Node{b.emit1(OpAvgPoolGrad, a, d[0])}
}

func gradAvgPoolGrad(b *Builder, i Instr, _, _, d []Node) []Node {
	a := i.Attr.(PoolAttr)
	a.Size = [2]int{}
	return []Node{b.AvgPool(d[0], a)}
}
