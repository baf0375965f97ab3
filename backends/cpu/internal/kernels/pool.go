package kernels

// Window is the geometry of a pooling over the planes of a blocked tensor. The window of output
// pixel (oh, ow) contains the input pixels (h, v) that exist, 0 ≤ h < H and 0 ≤ v < W, of
//
//	h = oh·StrideH - PadTop  + i    0 ≤ i < KernelH
//	v = ow·StrideW - PadLeft + j    0 ≤ j < KernelW
//
// Each window contains at least one pixel.
type Window struct {
	H, W             int // input
	OutH, OutW       int
	KernelH, KernelW int
	StrideH, StrideW int
	PadTop, PadLeft  int
}

// poolTable contains the pooling kernels of one instruction set, for one window: x and dx begin at
// its first pixel, and pixel (r, c) of the window, r < rows and c < cols, is at index r·ld + c·16.
type poolTable struct {
	// max sets out to the maximum, or to NaN if there is one.
	max func(out, x []float32, rows, cols, ld int)
	// maxGrad adds dy to dx at the first maximum, or at the last NaN.
	maxGrad func(dx, x, dy []float32, rows, cols, ld int)
	// sum sets out = share · Σ x, added in row-major order.
	sum func(out, x []float32, rows, cols, ld int, share float32)
	// spread adds share · dy to every pixel of dx.
	spread func(dx, dy []float32, rows, cols, ld int, share float32)
}

var pools = [...]poolTable{Portable: portablePool, AVX2: avx2Pool, AVX512: avx512Pool}

// MaxPool sets each pixel of y to the maximum of its window, lane by lane, for the planes
// p0 ≤ p < p1. A window that contains a NaN gives NaN.
func (isa InstructionSet) MaxPool(y, x []float32, w Window, p0, p1 int) {
	f := pools[isa].max
	for p := p0; p < p1; p++ {
		in, out := w.in(x, p), w.out(y, p)
		w.each(func(o int, c cover) { f(out[o:o+Block], c.cut(in), c.rows, c.cols, c.ld) })
	}
}

// MaxPoolGrad sets dx to the gradient of [InstructionSet.MaxPool] for the planes p0 ≤ p < p1. Each
// dy is added at the first maximum of its window in row-major order, or at the last NaN. x is the
// input of the forward pass.
func (isa InstructionSet) MaxPoolGrad(dx, dy, x []float32, w Window, p0, p1 int) {
	f := pools[isa].maxGrad
	for p := p0; p < p1; p++ {
		in, din, dout := w.in(x, p), w.in(dx, p), w.out(dy, p)
		clear(din)
		w.each(func(o int, c cover) { f(c.cut(din), c.cut(in), dout[o:o+Block], c.rows, c.cols, c.ld) })
	}
}

// AvgPool sets each pixel of y to the mean of its window, lane by lane, for the planes p0 ≤ p < p1.
// The divisor is KernelH·KernelW with countPad, and the number of pixels of the window without.
func (isa InstructionSet) AvgPool(y, x []float32, w Window, countPad bool, p0, p1 int) {
	f := pools[isa].sum
	for p := p0; p < p1; p++ {
		in, out := w.in(x, p), w.out(y, p)
		w.each(func(o int, c cover) { f(out[o:o+Block], c.cut(in), c.rows, c.cols, c.ld, w.share(countPad, c)) })
	}
}

// AvgPoolGrad sets dx to the gradient of [InstructionSet.AvgPool] for the planes p0 ≤ p < p1.
func (isa InstructionSet) AvgPoolGrad(dx, dy []float32, w Window, countPad bool, p0, p1 int) {
	f := pools[isa].spread
	for p := p0; p < p1; p++ {
		din, dout := w.in(dx, p), w.out(dy, p)
		clear(din)
		w.each(func(o int, c cover) { f(c.cut(din), dout[o:o+Block], c.rows, c.cols, c.ld, w.share(countPad, c)) })
	}
}

// cover is a window in an input plane. Its pixel (r, c) is at index first + r·ld + c·16.
type cover struct{ first, rows, cols, ld int }

// cut returns the elements of a plane from the first to the last pixel of the window.
func (c cover) cut(plane []float32) []float32 {
	return plane[c.first : c.first+(c.rows-1)*c.ld+c.cols*Block]
}

// each calls f for every output pixel in row-major order. o is the index of the pixel in its plane.
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

// share returns the weight of one input pixel in the mean of a window.
func (w *Window) share(countPad bool, c cover) float32 {
	if countPad {
		return 1 / float32(w.KernelH*w.KernelW)
	}
	return 1 / float32(c.rows*c.cols)
}

// in returns a plane of a tensor that has the size of the input.
func (w *Window) in(x []float32, plane int) []float32 {
	size := w.H * w.W * Block
	return x[plane*size : (plane+1)*size]
}

// out returns a plane of a tensor that has the size of the output.
func (w *Window) out(y []float32, plane int) []float32 {
	size := w.OutH * w.OutW * Block
	return y[plane*size : (plane+1)*size]
}
