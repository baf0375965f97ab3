package kernels

import "math"

// SumChunk is the number of elements that [InstructionSet.Sum] adds in float32 before it continues
// in float64. A caller that splits a sum over workers splits it at multiples of SumChunk, and adds
// the partial sums in order.
const SumChunk = 4096

// reduceTable contains the reductions of one instruction set, each over at most SumChunk elements.
//
// sum and dot have 64 running sums s, and element i is added to s[i%64]. At the end the upper half
// is added to the lower half, s[j] += s[j+32] for j < 32, then s[j] += s[j+16] for j < 16, down to
// s[0]. This order is the same for all instruction sets.
type reduceTable struct {
	sum     func(x []float32) float32
	dot     func(x, y []float32) float32
	largest func(x []float32) float32
}

var reduces = [...]reduceTable{Portable: portableReduce, AVX2: avx2Reduce, AVX512: avx512Reduce}

var portableReduce = reduceTable{sum: sumPortable, dot: dotPortable, largest: largestPortable}

// Chunks returns the number of chunks of SumChunk elements in n elements. The last chunk may be
// shorter.
func Chunks(n int) int { return (n + SumChunk - 1) / SumChunk }

// Sum returns Σ_i x[i], 0 for an empty x. Each chunk of SumChunk elements is added in float32, and
// the sums of the chunks are added in order in float64.
func (isa InstructionSet) Sum(x []float32) float64 {
	total := 0.0
	for i := range Chunks(len(x)) {
		total += float64(reduces[isa].sum(chunk(x, i)))
	}
	return total
}

// Dot returns Σ_i x[i]·y[i] over the elements of x, in the order of [InstructionSet.Sum].
func (isa InstructionSet) Dot(x, y []float32) float64 {
	y = y[:len(x)]
	total := 0.0
	for i := range Chunks(len(x)) {
		total += float64(reduces[isa].dot(chunk(x, i), chunk(y, i)))
	}
	return total
}

// Largest returns the largest element of x: NaN if x contains a NaN, -Inf if x is empty.
func (isa InstructionSet) Largest(x []float32) float32 { return reduces[isa].largest(x) }

// SumRows sets dst[j] = Σ_i x[i,j] for the columns j0 ≤ j < j1 of the row-major matrix x[rows,
// cols]. Groups of 64 rows are added in order in float32, and the sums of the groups in order in
// float64, so every split of the columns gives the same result.
func SumRows(dst, x []float32, rows, cols, j0, j1 int) {
	const group, width = 64, 32 // the columns are processed in strips of width
	for ; j0 < j1; j0 += width {
		var total [width]float64
		w := min(width, j1-j0)
		for r := 0; r < rows; r += group {
			var part [width]float32
			for i := r; i < min(r+group, rows); i++ {
				for j, v := range x[i*cols+j0 : i*cols+j0+w] {
					part[j] += v
				}
			}
			for j := range w {
				total[j] += float64(part[j])
			}
		}
		for j := range w {
			dst[j0+j] = float32(total[j])
		}
	}
}

// chunk returns chunk i of x.
func chunk(x []float32, i int) []float32 {
	return x[i*SumChunk : min((i+1)*SumChunk, len(x))]
}

func sumPortable(x []float32) float32 {
	var s [64]float32
	for i := 0; i < len(x); i += 64 {
		for j, v := range x[i:min(i+64, len(x))] {
			s[j%64] += v
		}
	}
	return halve(&s)
}

func dotPortable(x, y []float32) float32 {
	var s [64]float32
	for i := 0; i < len(x); i += 64 {
		ys := y[i:]
		for j, v := range x[i:min(i+64, len(x))] {
			s[j%64] += float32(v * ys[j])
		}
	}
	return halve(&s)
}

// halve adds the upper half of s to the lower half until one sum is left, and returns it.
func halve(s *[64]float32) float32 {
	for h := 32; h > 0; h /= 2 {
		for j := range h {
			s[j] += s[j+h]
		}
	}
	return s[0]
}

func largestPortable(x []float32) float32 {
	best := float32(math.Inf(-1))
	for _, v := range x {
		if v > best || v != v {
			best = v
		}
		if best != best {
			return best
		}
	}
	return best
}
