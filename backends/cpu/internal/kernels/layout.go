package kernels

// ToBlocked reorders the images n0 to n1 of src, row-major [N, c, pixels], into dst, blocked [N, Blocks(c), pixels, 16]. Lanes beyond the last
// channel are set to zero.
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

// FromBlocked reorders the images n0 to n1 of src, blocked [N, Blocks(c), pixels, 16], into dst, row-major [N, c, pixels].
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

// Transpose sets dst[j*ldd+i] = src[i*lds+j] for 0 ≤ i < rows, 0 ≤ j < cols. Leading dimensions are the elements from one row to the next: lds at
// least cols, ldd at least rows.
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
	// The last group of rows, and of columns, overlaps the one before where eight do not divide them.
	for i := 0; i < rows; i += 8 {
		i = min(i, rows-8)
		f(dst[i:], ldd, src[i*lds:], lds, cols&^7)
		if cols%8 != 0 {
			f(dst[(cols-8)*ldd+i:], ldd, src[i*lds+cols-8:], lds, 8)
		}
	}
}

// transpose8Portable transposes eight rows of a multiple of eight columns. Like its twin it writes column after column, in order, which packA
// relies on.
func transpose8Portable(dst []float32, ldd int, src []float32, lds, cols int) {
	for j := range cols {
		out := dst[j*ldd:][:8]
		for i := range out {
			out[i] = src[i*lds+j]
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
