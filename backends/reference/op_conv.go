package reference

import "github.com/compressaware/cram/sdk/graph"

// matmul is z[…,i,j] = Σ_k x[…,i,k]·y[…,k,j].
func matmul(attr graph.Attr, x, z []operand) error {
	a := attr.(graph.MatMulAttr)
	r := len(z[0].dims)
	rows, cols := z[0].dims[r-2], z[0].dims[r-1]
	inner := x[0].size() / (z[0].size() / cols)
	xi, xk := inner, 1
	if a.TransA {
		xi, xk = 1, rows
	}
	yk, yj := cols, 1
	if a.TransB {
		yk, yj = 1, inner
	}
	for m := range z[0].size() / (rows * cols) {
		x, y, z := x[0].f[m*rows*inner:], x[1].f[m*inner*cols:], z[0].f[m*rows*cols:]
		for i := range rows {
			for k := range inner {
				v := x[i*xi+k*xk]
				for j := range cols {
					z[i*cols+j] += v * y[k*yk+j*yj]
				}
			}
		}
	}
	return nil
}

// A convolution is the geometry of conv2d and its gradients: x [N C H W], w [O C/groups KH KW], y
// [N O OH OW].
type convolution struct {
	graph.ConvAttr
	n, c, h, w, o, kh, kw, oh, ow int
}

func geometry(attr graph.Attr, x, w, y operand) convolution {
	return convolution{attr.(graph.ConvAttr),
		x.dims[0], x.dims[1], x.dims[2], x.dims[3], w.dims[0], w.dims[2], w.dims[3], y.dims[2], y.dims[3]}
}

// rows visits the triples of positions in y[n,o,i,j] += w[o,c,p,q]·x[n,c,i·s+p-top,j·s+q-left],
// except those in the padding. All j of a row are one visit: y+t, w and x+t·stride for t < count.
func (g convolution) rows(visit func(y, w, x, count, stride int)) {
	perGroup := g.c / g.Groups
	sh, sw, top, left := g.Stride[0], g.Stride[1], g.Pad[0], g.Pad[2]
	for n := range g.n {
		for o := range g.o {
			first := o / (g.o / g.Groups) * perGroup
			for k := range perGroup * g.kh * g.kw {
				c, p, q := k/(g.kh*g.kw), k/g.kw%g.kh, k%g.kw
				j0, j1 := inside(g.ow, sw, q-left, g.w)
				i0, i1 := inside(g.oh, sh, p-top, g.h)
				for i := i0; i < i1 && j0 < j1; i++ {
					visit(((n*g.o+o)*g.oh+i)*g.ow+j0,
						o*perGroup*g.kh*g.kw+k,
						((n*g.c+first+c)*g.h+i*sh+p-top)*g.w+j0*sw+q-left, j1-j0, sw)
				}
			}
		}
	}
}

// inside returns the range of the i in [0, n) with 0 ≤ i·stride + offset < size.
func inside(n, stride, offset, size int) (from, to int) {
	for from < n && from*stride+offset < 0 {
		from++
	}
	for to = n; to > from && (to-1)*stride+offset >= size; {
		to--
	}
	return from, to
}

func conv2d(attr graph.Attr, in, out []operand) error {
	x, w, y := in[0], in[1], out[0]
	geometry(attr, x, w, y).rows(func(yi, wi, xi, count, stride int) {
		v := w.f[wi]
		for t := range count {
			y.f[yi+t] += v * x.f[xi+t*stride]
		}
	})
	return nil
}

func conv2dInput(attr graph.Attr, in, out []operand) error {
	dy, w, dx := in[0], in[1], out[0]
	geometry(attr, dx, w, dy).rows(func(yi, wi, xi, count, stride int) {
		v := w.f[wi]
		for t := range count {
			dx.f[xi+t*stride] += v * dy.f[yi+t]
		}
	})
	return nil
}

func conv2dWeight(attr graph.Attr, in, out []operand) error {
	x, dy, dw := in[0], in[1], out[0]
	geometry(attr, x, dw, dy).rows(func(yi, wi, xi, count, stride int) {
		total := 0.0
		for t := range count {
			total += dy.f[yi+t] * x.f[xi+t*stride]
		}
		dw.f[wi] += total
	})
	return nil
}
