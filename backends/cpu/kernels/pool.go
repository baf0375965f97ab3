package kernels

import "math"

// Window is the geometry of a pooling over the planes of a blocked tensor: output pixel (oh, ow) covers the input pixels
// (oh*StrideH-PadTop+i, ow*StrideW-PadLeft+j), 0 ≤ i < KernelH, 0 ≤ j < KernelW, that exist. Each window holds at least one of them.
type Window struct {
	H, W             int // input
	OutH, OutW       int
	KernelH, KernelW int
	StrideH, StrideW int
	PadTop, PadLeft  int
}

// at returns the rows h0 to h1 and columns w0 to w1 of the input that output pixel (oh, ow) covers.
func (w *Window) at(oh, ow int) (h0, h1, w0, w1 int) {
	h, v := oh*w.StrideH-w.PadTop, ow*w.StrideW-w.PadLeft
	return max(h, 0), min(h+w.KernelH, w.H), max(v, 0), min(v+w.KernelW, w.W)
}

func (w *Window) in(x []float32, plane int) []float32 {
	size := w.H * w.W * Block
	return x[plane*size : (plane+1)*size]
}

func (w *Window) out(y []float32, plane int) []float32 {
	size := w.OutH * w.OutW * Block
	return y[plane*size : (plane+1)*size]
}

// MaxPool sets each pixel of y to the lane-wise maximum over its window, for the planes p0 to p1. A NaN in a window gives NaN.
func (l Level) MaxPool(y, x []float32, w Window, p0, p1 int) {
	for p := p0; p < p1; p++ {
		in, out := w.in(x, p), w.out(y, p)
		for oh := range w.OutH {
			for ow := range w.OutW {
				acc := out[(oh*w.OutW+ow)*Block:][:Block]
				for j := range acc {
					acc[j] = float32(math.Inf(-1))
				}
				h0, h1, w0, w1 := w.at(oh, ow)
				for h := h0; h < h1; h++ {
					for i := (h*w.W + w0) * Block; i < (h*w.W+w1)*Block; i += Block {
						pixel := in[i : i+Block]
						for j, v := range pixel {
							if v > acc[j] || v != v {
								acc[j] = v
							}
						}
					}
				}
			}
		}
	}
}

// MaxPoolGrad sets dx to the gradient of [Level.MaxPool] for the planes p0 to p1: every dy goes to the first maximum of its window in
// row-major order, or to its last NaN. x is the input of the forward pass.
func (l Level) MaxPoolGrad(dx, dy, x []float32, w Window, p0, p1 int) {
	for p := p0; p < p1; p++ {
		in, din, dout := w.in(x, p), w.in(dx, p), w.out(dy, p)
		clear(din)
		for oh := range w.OutH {
			for ow := range w.OutW {
				var best [Block]float32
				var at [Block]int
				h0, h1, w0, w1 := w.at(oh, ow)
				first := (h0*w.W + w0) * Block
				for j := range Block {
					best[j], at[j] = in[first+j], first+j
				}
				for h := h0; h < h1; h++ {
					for i := (h*w.W + w0) * Block; i < (h*w.W+w1)*Block; i += Block {
						for j, v := range in[i : i+Block] {
							if v > best[j] || v != v {
								best[j], at[j] = v, i+j
							}
						}
					}
				}
				for j, g := range dout[(oh*w.OutW+ow)*Block:][:Block] {
					din[at[j]] += g
				}
			}
		}
	}
}

// AvgPool sets each pixel of y to the lane-wise mean over its window, for the planes p0 to p1. With countPad the divisor is always
// KernelH*KernelW, without it the number of input pixels in the window.
func (l Level) AvgPool(y, x []float32, w Window, countPad bool, p0, p1 int) {
	for p := p0; p < p1; p++ {
		in, out := w.in(x, p), w.out(y, p)
		for oh := range w.OutH {
			for ow := range w.OutW {
				h0, h1, w0, w1 := w.at(oh, ow)
				var sum [Block]float32
				for h := h0; h < h1; h++ {
					for i := (h*w.W + w0) * Block; i < (h*w.W+w1)*Block; i += Block {
						for j, v := range in[i : i+Block] {
							sum[j] += v
						}
					}
				}
				share := w.share(countPad, h0, h1, w0, w1)
				acc := out[(oh*w.OutW+ow)*Block:][:Block]
				for j := range acc {
					acc[j] = sum[j] * share
				}
			}
		}
	}
}

// AvgPoolGrad sets dx to the gradient of [Level.AvgPool] for the planes p0 to p1.
func (l Level) AvgPoolGrad(dx, dy []float32, w Window, countPad bool, p0, p1 int) {
	for p := p0; p < p1; p++ {
		din, dout := w.in(dx, p), w.out(dy, p)
		clear(din)
		for oh := range w.OutH {
			for ow := range w.OutW {
				h0, h1, w0, w1 := w.at(oh, ow)
				var g [Block]float32
				share := w.share(countPad, h0, h1, w0, w1)
				for j, v := range dout[(oh*w.OutW+ow)*Block:][:Block] {
					g[j] = v * share
				}
				for h := h0; h < h1; h++ {
					for i := (h*w.W + w0) * Block; i < (h*w.W+w1)*Block; i += Block {
						pixel := din[i : i+Block]
						for j := range pixel {
							pixel[j] += g[j]
						}
					}
				}
			}
		}
	}
}

// share is the weight of one input pixel in a window's mean.
func (w *Window) share(countPad bool, h0, h1, w0, w1 int) float32 {
	if countPad {
		return 1 / float32(w.KernelH*w.KernelW)
	}
	return 1 / float32((h1-h0)*(w1-w0))
}

// GlobalAvgPool sets y, one pixel of 16 lanes a plane, to the mean over the pixels of x, for the planes p0 to p1: a blocked tensor of
// 1x1 images.
func (l Level) GlobalAvgPool(y, x []float32, pixels, p0, p1 int) {
	share := 1 / float32(pixels)
	for p := p0; p < p1; p++ {
		var sum [2][Block]float32
		for i := range pixels {
			for j, v := range x[(p*pixels+i)*Block:][:Block] {
				sum[i%2][j] += v
			}
		}
		out := y[p*Block : (p+1)*Block]
		for j := range out {
			out[j] = (sum[0][j] + sum[1][j]) * share
		}
	}
}

// GlobalAvgPoolGrad sets every pixel of the planes p0 to p1 of dx to dy/pixels, dy having one pixel a plane.
func (l Level) GlobalAvgPoolGrad(dx, dy []float32, pixels, p0, p1 int) {
	share := 1 / float32(pixels)
	for p := p0; p < p1; p++ {
		var g [Block]float32
		for j, v := range dy[p*Block : (p+1)*Block] {
			g[j] = v * share
		}
		plane := dx[p*pixels*Block : (p+1)*pixels*Block]
		for i := 0; i < len(plane); i += Block {
			copy(plane[i:i+Block], g[:])
		}
	}
}
