package kernels

import "math"

// Batch normalization of blocked tensors. For each channel, with sums over the M = images·pixels
// values of the channel in a batch:
//
//	mean     = Σ x / M
//	variance = Σ (x-mean)² / M
//	invstd   = 1/√(variance+ε)
//	y        = (x-mean)·scale + shift            scale = γ·invstd, shift = β
//	dβ       = Σ dy
//	dγ       = invstd · Σ dy·(x-mean)
//	dx       = scale · (dy - dβ/M - (x-mean)·invstd·dγ/M)
//
// Each sum has two stages: partial sums of each plane in float32, and their sum over the images, in
// order, in float64. A matrix [N, C] with a C that is a multiple of 16 is also a blocked tensor,
// with one pixel per plane.
//
// A vector over channels has 16 elements per block, element c for channel c. γ and β are 0 in the
// lanes that pad the last block.

// Planes is a range of planes of a blocked tensor. Plane n·Blocks + b is block b of image n. The
// slices that a kernel takes in addition to a Planes begin at plane 0.
type Planes struct {
	Blocks   int // blocks of 16 channels of an image
	Pixels   int // height · width
	From, To int // the range From ≤ plane < To
}

// Number of elements of the partial sums of one plane. Each sum has 16 elements, one per channel.
const (
	MomentsPart = 3 * Block // of Moments: shift, Σ(x-shift), Σ(x-shift)²
	GradPart    = 2 * Block // of NormGradSums: Σg, Σg·(x-mean)
)

// Affine is a normalization y = (x-Mean)·Scale + Shift. Its fields are vectors over channels.
type Affine struct{ Mean, Scale, Shift []float32 }

// InputGrad contains the coefficients of the input gradient of a normalization,
//
//	dx = Scale · (dy - MeanGrad - (x-Mean)·Slope)
//
// as vectors over channels. [InputGradOf] computes MeanGrad and Slope. With zeros in these two it
// is the gradient of a normalization by fixed statistics.
type InputGrad struct{ Mean, Scale, MeanGrad, Slope []float32 }

// normTable contains the batch normalization kernels of one instruction set, for one plane. mean,
// scale and the like are the 16 elements of the block of the plane.
//
// A sum over the pixels of a plane has two running sums, one of the even and one of the odd pixels,
// which are added at the end.
type normTable struct {
	moments      func(part, x []float32)
	apply        func(y, x, mean, scale, shift []float32)
	applyRelu    func(y, x, mean, scale, shift []float32)
	applyAdd     func(y, x, residual, mean, scale, shift []float32)
	applyAddRelu func(y, x, residual, mean, scale, shift []float32)
	gradSums     func(part, dy, x, mean []float32)
	gradSumsRelu func(part, g, dy, y, x, mean []float32) // sets g = dy where y > 0, and 0 elsewhere
	gradMasked   func(part, dy, y, x, mean []float32)    // gradSumsRelu without g
	input        func(dx, dy, x, mean, scale, meanGrad, slope []float32)
	inputRelu    func(dx, dy, y, x, mean, scale, meanGrad, slope []float32)
}

var norms = [...]normTable{Portable: portableNorm, AVX2: avx2Norm, AVX512: avx512Norm}

// Moments writes the partial sums of the planes p of x to part. part has MomentsPart elements for
// each plane of the tensor:
//
//	shift, Σ (x-shift), Σ (x-shift)²    shift = first pixel of the plane
//
// The shift keeps the variance accurate for values that are far from zero.
func (isa InstructionSet) Moments(part, x []float32, p Planes) {
	f := norms[isa].moments
	for i := p.From; i < p.To; i++ {
		f(part[i*MomentsPart:(i+1)*MomentsPart], p.plane(x, i))
	}
}

// MergeMoments sets mean and variance (biased) of the channels of the blocks b0 ≤ b < b1. part
// contains the partial sums that [InstructionSet.Moments] writes, for all planes of a tensor of n
// images.
//
// With the shift s, the sum p = Σ (x-s) and the sum q = Σ (x-s)² of each plane of K = pixels
// values:
//
//	mean of the plane  m = s + p/K
//	mean               = Σ_n m / n
//	variance           = Σ_n (q - p²/K + K·(m-mean)²) / (K·n)
func MergeMoments(mean, variance, part []float32, n, blocks, pixels, b0, b1 int) {
	count, share := float64(pixels), 1/float64(pixels)
	for b := b0; b < b1; b++ {
		var center, within, between [Block]float64
		for i := range n {
			shift, sum, _ := momentsOf(part, i*blocks+b)
			for j := range Block {
				center[j] += float64(shift[j]) + float64(sum[j])*share
			}
		}
		for j := range Block {
			center[j] /= float64(n)
		}
		for i := range n {
			shift, sum, squares := momentsOf(part, i*blocks+b)
			for j := range Block {
				s := float64(sum[j])
				within[j] += float64(squares[j]) - s*s*share
				d := float64(shift[j]) + s*share - center[j]
				between[j] += d * d
			}
		}
		for j := range Block {
			mean[b*Block+j] = float32(center[j])
			variance[b*Block+j] = float32(max(within[j]+count*between[j], 0) / (count * float64(n)))
		}
	}
}

// momentsOf returns the three partial sums of a plane.
func momentsOf(part []float32, plane int) (shift, sum, squares *[Block]float32) {
	p := part[plane*MomentsPart:][:MomentsPart]
	return (*[Block]float32)(p), (*[Block]float32)(p[Block:]), (*[Block]float32)(p[2*Block:])
}

// InvStd sets dst[i] = 1/√(variance[i]+eps).
func InvStd(dst, variance []float32, eps float64) {
	for i := range dst {
		dst[i] = float32(1 / math.Sqrt(float64(variance[i])+eps))
	}
}

// Normalize sets y for the planes p. y may be x or residual.
//
//	y = (x-Mean)·Scale + Shift + residual     residual may be nil: nothing is added
//	y = max(y, 0)                             with relu
func (isa InstructionSet) Normalize(y, x, residual []float32, a Affine, relu bool, p Planes) {
	t := &norms[isa]
	plain, add := t.apply, t.applyAdd
	if relu {
		plain, add = t.applyRelu, t.applyAddRelu
	}
	for i := p.From; i < p.To; i++ {
		mean, scale, shift := p.lanes(a.Mean, i), p.lanes(a.Scale, i), p.lanes(a.Shift, i)
		if residual == nil {
			plain(p.plane(y, i), p.plane(x, i), mean, scale, shift)
		} else {
			add(p.plane(y, i), p.plane(x, i), p.plane(residual, i), mean, scale, shift)
		}
	}
}

// NormGradSums writes the partial sums of the planes p to part. part has GradPart elements for each
// plane of the tensor:
//
//	Σ g, Σ g·(x-mean)
//
// If y is nil, g = dy. Otherwise y is the result of a normalization with ReLU, and g = dy where y >
// 0 and 0 elsewhere. Then the slice g, if it is not nil, receives these values: they are the
// gradient of the residual, and later kernels can read them in place of dy and y. The slice g may
// be dy.
func (isa InstructionSet) NormGradSums(part, g, dy, y, x, mean []float32, p Planes) {
	t := &norms[isa]
	for i := p.From; i < p.To; i++ {
		out, d, in, m := part[i*GradPart:(i+1)*GradPart], p.plane(dy, i), p.plane(x, i), p.lanes(mean, i)
		switch {
		case y == nil:
			t.gradSums(out, d, in, m)
		case g == nil:
			t.gradMasked(out, d, p.plane(y, i), in, m)
		default:
			t.gradSumsRelu(out, p.plane(g, i), d, p.plane(y, i), in, m)
		}
	}
}

// MergeGradSums sets dbeta and dgamma of the channels of the blocks b0 ≤ b < b1. part contains the
// partial sums that [InstructionSet.NormGradSums] writes, for all planes of a tensor of n images.
//
//	dbeta  = Σ_n Σ g
//	dgamma = Σ_n Σ g·(x-mean) · invstd
func MergeGradSums(dbeta, dgamma, part, invstd []float32, n, blocks, b0, b1 int) {
	for b := b0; b < b1; b++ {
		var sum, prod [Block]float64
		for i := range n {
			p := part[(i*blocks+b)*GradPart:][:GradPart]
			for lane := range Block {
				sum[lane] += float64(p[lane])
				prod[lane] += float64(p[Block+lane])
			}
		}
		for lane := range Block {
			c := b*Block + lane
			dbeta[c] = float32(sum[lane])
			dgamma[c] = float32(prod[lane] * float64(invstd[c]))
		}
	}
}

// InputGradOf sets d.MeanGrad = dbeta/count and d.Slope = invstd·dgamma/count. count is the number
// of images times the number of pixels of a plane.
func InputGradOf(d InputGrad, dbeta, dgamma, invstd []float32, count int) {
	m := float64(count)
	for c := range d.MeanGrad {
		d.MeanGrad[c] = float32(float64(dbeta[c]) / m)
		d.Slope[c] = float32(float64(invstd[c]) * float64(dgamma[c]) / m)
	}
}

// NormGradInput sets dx = Scale·(g - MeanGrad - (x-Mean)·Slope) for the planes p. If y is nil, g =
// dy; otherwise g = dy where y > 0, and 0 elsewhere. dx may be dy, y or x.
func (isa InstructionSet) NormGradInput(dx, dy, y, x []float32, d InputGrad, p Planes) {
	t := &norms[isa]
	for i := p.From; i < p.To; i++ {
		mean, scale := p.lanes(d.Mean, i), p.lanes(d.Scale, i)
		meanGrad, slope := p.lanes(d.MeanGrad, i), p.lanes(d.Slope, i)
		if y == nil {
			t.input(p.plane(dx, i), p.plane(dy, i), p.plane(x, i), mean, scale, meanGrad, slope)
		} else {
			t.inputRelu(p.plane(dx, i), p.plane(dy, i), p.plane(y, i), p.plane(x, i), mean, scale, meanGrad, slope)
		}
	}
}

// plane returns plane i of x.
func (p Planes) plane(x []float32, i int) []float32 {
	size := p.Pixels * Block
	return x[i*size : (i+1)*size]
}

// lanes returns the 16 elements of the block of plane i from a vector over channels.
func (p Planes) lanes(v []float32, i int) []float32 {
	b := i % p.Blocks * Block
	return v[b : b+Block]
}
