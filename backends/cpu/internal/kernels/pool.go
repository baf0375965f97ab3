package kernels

// Window is the geometry of a pooling over the planes of a blocked tensor: output pixel (oh, ow) covers the input pixels
// (oh*StrideH-PadTop+i, ow*StrideW-PadLeft+j), 0 ≤ i < KernelH, 0 ≤ j < KernelW, that exist. Each window holds at least one of them.
type Window struct {
	H, W             int // input
	OutH, OutW       int
	KernelH, KernelW int
	StrideH, StrideW int
	PadTop, PadLeft  int
}

// poolTable is one level's pooling of one window: rows of cols adjacent pixels, ld elements from one row to the next.
type poolTable struct {
	max     func(out, x []float32, rows, cols, ld int)                // out = maximum, NaN if there is one
	maxGrad func(dx, x, dy []float32, rows, cols, ld int)             // dx += dy at the first maximum, or the last NaN
	sum     func(out, x []float32, rows, cols, ld int, share float32) // out = sum * share, added in row-major order
	spread  func(dx, dy []float32, rows, cols, ld int, share float32) // dx += dy * share everywhere
}

var pools = [...]poolTable{Portable: portablePool, AVX2: avx2Pool, AVX512: avx512Pool}

// MaxPool sets each pixel of y to the lane-wise maximum over its window, for the planes p0 to p1. A NaN in a window gives NaN.
func (l InstructionSet) MaxPool(y, x []float32, w Window, p0, p1 int) {
	f := pools[l].max
	for p := p0; p < p1; p++ {
		in, out := w.in(x, p), w.out(y, p)
		w.each(func(o int, c cover) { f(out[o:o+Block], c.cut(in), c.rows, c.cols, c.ld) })
	}
}

// MaxPoolGrad sets dx to the gradient of [InstructionSet.MaxPool] for the planes p0 to p1: every dy goes to the first maximum of its window in
// row-major order, or to its last NaN. x is the input of the forward pass.
func (l InstructionSet) MaxPoolGrad(dx, dy, x []float32, w Window, p0, p1 int) {
	f := pools[l].maxGrad
	for p := p0; p < p1; p++ {
		in, din, dout := w.in(x, p), w.in(dx, p), w.out(dy, p)
		clear(din)
		w.each(func(o int, c cover) { f(c.cut(din), c.cut(in), dout[o:o+Block], c.rows, c.cols, c.ld) })
	}
}

// AvgPool sets each pixel of y to the lane-wise mean over its window, for the planes p0 to p1. With countPad the divisor is always
// KernelH*KernelW, without it the number of input pixels in the window.
func (l InstructionSet) AvgPool(y, x []float32, w Window, countPad bool, p0, p1 int) {
	f := pools[l].sum
	for p := p0; p < p1; p++ {
		in, out := w.in(x, p), w.out(y, p)
		w.each(func(o int, c cover) { f(out[o:o+Block], c.cut(in), c.rows, c.cols, c.ld, w.share(countPad, c)) })
	}
}

// AvgPoolGrad sets dx to the gradient of [InstructionSet.AvgPool] for the planes p0 to p1.
func (l InstructionSet) AvgPoolGrad(dx, dy []float32, w Window, countPad bool, p0, p1 int) {
	f := pools[l].spread
	for p := p0; p < p1; p++ {
		din, dout := w.in(dx, p), w.out(dy, p)
		clear(din)
		w.each(func(o int, c cover) { f(c.cut(din), dout[o:o+Block], c.rows, c.cols, c.ld, w.share(countPad, c)) })
	}
}

// GlobalAvgPool sets y, one pixel of 16 lanes a plane, to the mean over the pixels of x, for the planes p0 to p1: a blocked tensor of
// 1x1 images.
func (l InstructionSet) GlobalAvgPool(y, x []float32, pixels, p0, p1 int) {
	f, size := pools[l].sum, pixels*Block
	for p := p0; p < p1; p++ {
		f(y[p*Block:(p+1)*Block], x[p*size:(p+1)*size], 1, pixels, size, 1/float32(pixels))
	}
}

// GlobalAvgPoolGrad sets every pixel of the planes p0 to p1 of dx to dy/pixels, dy having one pixel a plane.
func (l InstructionSet) GlobalAvgPoolGrad(dx, dy []float32, pixels, p0, p1 int) {
	f, size := pools[l].spread, pixels*Block
	clear(dx[p0*size : p1*size])
	for p := p0; p < p1; p++ {
		f(dx[p*size:(p+1)*size], dy[p*Block:(p+1)*Block], 1, pixels, size, 1/float32(pixels))
	}
}

// cover is the part of an input plane that a window covers: rows of cols pixels, the first at element first, ld elements from row to row.
type cover struct{ first, rows, cols, ld int }

// cut returns the elements of a plane from the first to the last that the window covers.
func (c cover) cut(plane []float32) []float32 {
	return plane[c.first : c.first+(c.rows-1)*c.ld+c.cols*Block]
}

// each calls f for every output pixel, at element o of the output plane, in row-major order.
func (w *Window) each(f func(o int, c cover)) {
	for oh := range w.OutH {
		h := oh*w.StrideH - w.PadTop
		h0, h1 := max(h, 0), min(h+w.KernelH, w.H)
		for ow := range w.OutW {
			v := ow*w.StrideW - w.PadLeft
			v0, v1 := max(v, 0), min(v+w.KernelW, w.W)
			f((oh*w.OutW+ow)*Block, cover{(h0*w.W + v0) * Block, h1 - h0, v1 - v0, w.W * Block})
		}
	}
}

// share is the weight of one input pixel in a window's mean.
func (w *Window) share(countPad bool, c cover) float32 {
	if countPad {
		return 1 / float32(w.KernelH*w.KernelW)
	}
	return 1 / float32(c.rows*c.cols)
}

// in cuts a plane out of a tensor of the input's size.
func (w *Window) in(x []float32, plane int) []float32 {
	size := w.H * w.W * Block
	return x[plane*size : (plane+1)*size]
}

// out cuts a plane out of a tensor of the output's size.
func (w *Window) out(y []float32, plane int) []float32 {
	size := w.OutH * w.OutW * Block
	return y[plane*size : (plane+1)*size]
}
