package kernels

// Block is the number of channels of a block, and of lanes of a pixel.
const Block = 16

// Blocks returns the number of blocks of c channels.
func Blocks(c int) int { return (c + Block - 1) / Block }

// ToBlocked copies the images n0 ≤ n < n1 of src, row-major [N, c, pixels], to dst, blocked
// [N, Blocks(c), pixels, 16]. It sets the lanes behind the last channel to zero.
func (isa InstructionSet) ToBlocked(dst, src []float32, c, pixels, n0, n1 int) {
	for n := n0; n < n1; n++ {
		for b := range Blocks(c) {
			first := b * Block
			width := min(Block, c-first)
			plane := dst[(n*Blocks(c)+b)*pixels*Block:][:pixels*Block]
			if width < Block {
				clear(plane)
			}
			isa.Transpose(plane, Block, src[(n*c+first)*pixels:], pixels, width, pixels)
		}
	}
}

// FromBlocked copies the images n0 ≤ n < n1 of src, blocked [N, Blocks(c), pixels, 16], to dst,
// row-major [N, c, pixels].
func (isa InstructionSet) FromBlocked(dst, src []float32, c, pixels, n0, n1 int) {
	for n := n0; n < n1; n++ {
		for b := range Blocks(c) {
			first := b * Block
			width := min(Block, c-first)
			plane := src[(n*Blocks(c)+b)*pixels*Block:][:pixels*Block]
			isa.Transpose(dst[(n*c+first)*pixels:], pixels, plane, Block, pixels, width)
		}
	}
}

// Transpose sets dst[j·ldd + i] = src[i·lds + j] for 0 ≤ i < rows and 0 ≤ j < cols. The leading
// dimensions are lds ≥ cols and ldd ≥ rows.
func (isa InstructionSet) Transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if rows < 8 || cols < 8 {
		for j := range cols {
			for i := range rows {
				dst[j*ldd+i] = src[i*lds+j]
			}
		}
		return
	}
	_, _ = dst[(cols-1)*ldd+rows-1], src[(rows-1)*lds+cols-1]
	f := transposes[isa]
	// The matrix is transposed in groups of eight rows and columns. If rows is no multiple of
	// eight, the last group overlaps the one before; likewise for columns.
	for i := 0; i < rows; i += 8 {
		i = min(i, rows-8)
		f(dst[i:], ldd, src[i*lds:], lds, cols&^7)
		if cols%8 != 0 {
			f(dst[(cols-8)*ldd+i:], ldd, src[i*lds+cols-8:], lds, 8)
		}
	}
}

// transpose8Portable sets dst[j·ldd + i] = src[i·lds + j] for 0 ≤ i < 8 and 0 ≤ j < cols. Like the
// assembly it writes in the order of j; packA relies on this.
func transpose8Portable(dst []float32, ldd int, src []float32, lds, cols int) {
	for j := range cols {
		out := dst[j*ldd:][:8]
		for i := range out {
			out[i] = src[i*lds+j]
		}
	}
}

// MaxRank is the largest rank that [Copy] accepts.
const MaxRank = 6

// Copy copies a strided tensor of len(shape) axes, at most MaxRank. For all indices i with
// 0 ≤ i[d] < shape[d]:
//
//	dst[Σ_d i[d]·dstStride[d]] = src[Σ_d i[d]·srcStride[d]]
//
// Strides are in elements. A stride of 0 in src repeats elements. The caller expresses offsets by
// slicing dst and src. Transpose, slice, concatenation, padding and broadcast are such copies.
func Copy[T any](dst []T, dstStride []int, src []T, srcStride []int, shape []int) {
	// d contains the dimensions that are left after merging: dimension i continues the one before
	// where one step of that one is shape[i] steps of i, in dst and in src.
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

// dim is one dimension of a strided copy: its size and its strides.
type dim struct{ size, dst, src int }

// copyDims copies the dimensions d.
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
