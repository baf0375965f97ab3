package kernels

import "math"

// Batch normalisation of blocked tensors. Per channel, over the images and pixels of a batch:
//
//	mean = Σ x / M      variance = Σ (x-mean)² / M      invstd = 1/√(variance+ε)      M = images·pixels
//	y = (x-mean)·scale + shift            scale = γ·invstd,  shift = β
//	dβ = Σ dy           dγ = invstd · Σ dy·(x-mean)
//	dx = scale · (dy - dβ/M - (x-mean)·invstd·dγ/M)
//
// Reductions are made plane by plane into partial sums, which are then merged over the images, in order, in float64. A plain matrix [N,C] whose
// C is a multiple of 16 is a blocked tensor of one pixel a plane, and is normalised by the same kernels.
//
// Vectors over channels have 16 elements a block. Lanes that pad the last block have γ = β = 0.

// Planes is a range of the planes of a blocked tensor, plane n*Blocks+b being block b of image n. Slices passed beside it begin at plane 0.
type Planes struct {
	Blocks   int // blocks of 16 channels in an image
	Pixels   int // height * width
	From, To int // first plane, and the plane after the last
}

// Blocks returns the number of blocks that c channels occupy.
func Blocks(c int) int { return (c + Block - 1) / Block }

// Block is the number of channels in a block, and of lanes in a pixel of a plane.
const Block = 16

// Elements of partial sums for one plane.
const (
	MomentsPart = 3 * Block // of Moments: shift, Σ(x-shift), Σ(x-shift)²
	GradPart    = 2 * Block // of NormGradSums: Σg, Σg·(x-mean)
)

// Affine is a normalisation ready to be applied: y = (x-Mean)*Scale + Shift, each a vector over channels.
type Affine struct{ Mean, Scale, Shift []float32 }

// InputGrad holds what the input gradient of a normalisation needs: dx = Scale * (dy - MeanGrad - (x-Mean)*Slope), each a vector over channels.
// [InputGradOf] fills it. With MeanGrad and Slope zero it is the gradient of a normalisation by fixed statistics.
type InputGrad struct{ Mean, Scale, MeanGrad, Slope []float32 }

// normTable is one level's batch normalisation of one plane. Vectors over channels are cut to the plane's 16 lanes.
//
// Sums over the pixels of a plane keep two running sums, for even and for odd pixels, and add them at the end.
type normTable struct {
	moments      func(part, x []float32)
	apply        func(y, x, mean, scale, shift []float32)
	applyRelu    func(y, x, mean, scale, shift []float32)
	applyAdd     func(y, x, residual, mean, scale, shift []float32)
	applyAddRelu func(y, x, residual, mean, scale, shift []float32)
	gradSums     func(part, dy, x, mean []float32)
	gradSumsRelu func(part, g, dy, y, x, mean []float32) // g receives dy where y > 0
	gradMasked   func(part, dy, y, x, mean []float32)    // as gradSumsRelu without g
	input        func(dx, dy, x, mean, scale, meanGrad, slope []float32)
	inputRelu    func(dx, dy, y, x, mean, scale, meanGrad, slope []float32)
}

var norms = [...]normTable{Portable: portableNorm, AVX2: avx2Norm, AVX512: avx512Norm}

// Moments writes the partial sums of the planes p of x into part, MomentsPart elements for each plane of the whole tensor. Sums are taken about
// the plane's first pixel, which makes them sound for data far from zero.
func (isa InstructionSet) Moments(part, x []float32, p Planes) {
	f := norms[isa].moments
	for i := p.From; i < p.To; i++ {
		f(part[i*MomentsPart:(i+1)*MomentsPart], p.plane(x, i))
	}
}

// MergeMoments sets mean and variance (biased) of the channels of blocks b0 to b1 from the partial sums of [InstructionSet.Moments] for all planes of a
// tensor of n images.
func MergeMoments(mean, variance, part []float32, n, blocks, pixels, b0, b1 int) {
	count, share := float64(pixels), 1/float64(pixels)
	// A plane's mean lies sum/count above its shift, and its squares about its own mean add up to squares - sum²/count.
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

// momentsOf returns the partial sums of a plane.
func momentsOf(part []float32, plane int) (shift, sum, squares *[Block]float32) {
	p := part[plane*MomentsPart:][:MomentsPart]
	return (*[Block]float32)(p), (*[Block]float32)(p[Block:]), (*[Block]float32)(p[2*Block:])
}

// InvStd sets dst[i] = 1/sqrt(variance[i]+eps).
func InvStd(dst, variance []float32, eps float64) {
	for i := range dst {
		dst[i] = float32(1 / math.Sqrt(float64(variance[i])+eps))
	}
}

// Normalize sets y = (x-Mean)*Scale + Shift, plus residual unless that is nil, and then, if relu is set, max(y, 0), for the planes p. y may be x or
// residual.
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

// NormGradSums writes the partial sums of g and g*(x-mean) of the planes p into part, GradPart elements for each plane of the whole tensor. g is dy,
// or, unless y is nil, dy where y > 0: the gradient before a ReLU that was fused with the normalisation. Unless g is nil as well
// it is stored, as the gradient of the residual that was added, and to be read in place of dy and y afterwards; g may be dy.
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

// MergeGradSums sets dbeta and dgamma of the channels of blocks b0 to b1 from the partial sums of [InstructionSet.NormGradSums] for all planes of a
// tensor of n images.
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

// InputGradOf fills d.MeanGrad = dbeta/count and d.Slope = invstd*dgamma/count, count being the images times the pixels of a plane.
func InputGradOf(d InputGrad, dbeta, dgamma, invstd []float32, count int) {
	m := float64(count)
	for c := range d.MeanGrad {
		d.MeanGrad[c] = float32(float64(dbeta[c]) / m)
		d.Slope[c] = float32(float64(invstd[c]) * float64(dgamma[c]) / m)
	}
}

// NormGradInput sets dx = Scale * (g - MeanGrad - (x-Mean)*Slope) for the planes p. g is dy, or, unless y is nil, dy where y > 0. dx may be
// dy, y or x.
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

// plane cuts plane i out of x.
func (p Planes) plane(x []float32, i int) []float32 {
	size := p.Pixels * Block
	return x[i*size : (i+1)*size]
}

// lanes cuts the 16 lanes of plane i out of a vector over channels.
func (p Planes) lanes(v []float32, i int) []float32 {
	b := i % p.Blocks * Block
	return v[b : b+Block]
}
