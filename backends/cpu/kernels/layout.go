package kernels

// ToBlocked reorders the images n0 to n1 of src, row-major [N, c, pixels], into dst, blocked [N, Blocks(c), pixels, 16]. Lanes beyond the last
// channel are set to zero.
func (l Level) ToBlocked(dst, src []float32, c, pixels, n0, n1 int) {
	for n := n0; n < n1; n++ {
		for b := range Blocks(c) {
			first := b * Block
			width := min(Block, c-first)
			plane := dst[(n*Blocks(c)+b)*pixels*Block:][:pixels*Block]
			if width < Block {
				clear(plane)
			}
			l.transpose(plane, Block, src[(n*c+first)*pixels:], pixels, width, pixels)
		}
	}
}

// FromBlocked reorders the images n0 to n1 of src, blocked [N, Blocks(c), pixels, 16], into dst, row-major [N, c, pixels].
func (l Level) FromBlocked(dst, src []float32, c, pixels, n0, n1 int) {
	for n := n0; n < n1; n++ {
		for b := range Blocks(c) {
			first := b * Block
			width := min(Block, c-first)
			plane := src[(n*Blocks(c)+b)*pixels*Block:][:pixels*Block]
			l.transpose(dst[(n*c+first)*pixels:], pixels, plane, Block, pixels, width)
		}
	}
}

// Transpose sets dst[j*ldd+i] = src[i*lds+j] for 0 ≤ i < rows, 0 ≤ j < cols. Leading dimensions are the elements from one row to the next: lds at
// least cols, ldd at least rows.
func (l Level) Transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	l.transpose(dst, ldd, src, lds, rows, cols)
}

func (l Level) transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	transposePortable(dst, ldd, src, lds, rows, cols)
}

// transposePortable works in tiles of 8x8, so that both sides stay in cache.
func transposePortable(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	const tile = 8
	for i0 := 0; i0 < rows; i0 += tile {
		i1 := min(i0+tile, rows)
		for j0 := 0; j0 < cols; j0 += tile {
			j1 := min(j0+tile, cols)
			for j := j0; j < j1; j++ {
				out := dst[j*ldd+i0 : j*ldd+i1]
				for i := range out {
					out[i] = src[(i0+i)*lds+j]
				}
			}
		}
	}
}

// MaxRank is the largest rank that [Copy] takes.
const MaxRank = 6

// Copy sets dst[Σ i_d*dstStride[d]] = src[Σ i_d*srcStride[d]] for every index i below shape. Strides are in elements and may be zero in src, which repeats
// elements. With offsets expressed by slicing, it does what transpose, slice, concatenation, padding and broadcast need; it is
// generic because labels and masks move as well as floats. Rank is len(shape), at most MaxRank.
func Copy[T any](dst []T, dstStride []int, src []T, srcStride []int, shape []int) {
	var d [MaxRank]dim
	n := 0
	for i, size := range shape {
		switch {
		case size == 0:
			return
		case size == 1:
		case n > 0 && d[n-1].dst == size*dstStride[i] && d[n-1].src == size*srcStride[i]:
			d[n-1] = dim{d[n-1].size * size, dstStride[i], srcStride[i]}
		default:
			d[n] = dim{size, dstStride[i], srcStride[i]}
			n++
		}
	}
	copyDims(dst, src, d[:n])
}

// dim is one dimension of a strided copy.
type dim struct{ size, dst, src int }

func copyDims[T any](dst, src []T, d []dim) {
	switch {
	case len(d) == 0:
		dst[0] = src[0]
	case len(d) > 1:
		for i := range d[0].size {
			copyDims(dst[i*d[0].dst:], src[i*d[0].src:], d[1:])
		}
	case d[0].dst == 1 && d[0].src == 1:
		copy(dst[:d[0].size], src[:d[0].size])
	default:
		for i := range d[0].size {
			dst[i*d[0].dst] = src[i*d[0].src]
		}
	}
}
