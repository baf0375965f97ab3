package kernels

import "math"

// SumChunk is the number of elements that [InstructionSet.ChunkSums] and [InstructionSet.ChunkDots] add into one partial sum. A caller that splits a reduction over
// workers does so at multiples of it and adds the partial sums in order.
const SumChunk = 4096

// reduceTable is one level's reductions over at most SumChunk elements.
//
// sum and dot keep 64 running sums, element i going to sum i%64, and then halve them: 64 to 32 by s[j] += s[j+32], 32 to 16, and so on to one.
// That order is the same at every level.
type reduceTable struct {
	sum     func(x []float32) float32
	dot     func(x, y []float32) float32
	largest func(x []float32) float32
}

var reduces = [...]reduceTable{Portable: portableReduce, AVX2: avx2Reduce, AVX512: avx512Reduce}

var portableReduce = reduceTable{sum: sumPortable, dot: dotPortable, largest: largestPortable}

// Chunks returns the number of partial sums of n elements.
func Chunks(n int) int { return (n + SumChunk - 1) / SumChunk }

// ChunkSums sets dst[i] to the sum of the i-th SumChunk elements of x. dst has Chunks(len(x)) elements.
func (l InstructionSet) ChunkSums(dst, x []float32) {
	for i := range Chunks(len(x)) {
		dst[i] = reduces[l].sum(chunk(x, i))
	}
}

// ChunkDots sets dst[i] to the sum of x[j]*y[j] over the i-th SumChunk elements j. dst has Chunks(len(x)) elements.
func (l InstructionSet) ChunkDots(dst, x, y []float32) {
	y = y[:len(x)]
	for i := range Chunks(len(x)) {
		dst[i] = reduces[l].dot(chunk(x, i), chunk(y, i))
	}
}

// Sum returns the sum of x: chunks of SumChunk elements in float32, their sums added in order in float64. The sum of nothing is 0.
func (l InstructionSet) Sum(x []float32) float64 {
	total := 0.0
	for i := range Chunks(len(x)) {
		total += float64(reduces[l].sum(chunk(x, i)))
	}
	return total
}

// Dot returns the sum of x[i]*y[i] over the elements of x, in the order of [InstructionSet.Sum].
func (l InstructionSet) Dot(x, y []float32) float64 {
	y = y[:len(x)]
	total := 0.0
	for i := range Chunks(len(x)) {
		total += float64(reduces[l].dot(chunk(x, i), chunk(y, i)))
	}
	return total
}

// SumSquares returns the sum of the squares of x, in the order of [InstructionSet.Sum].
func (l InstructionSet) SumSquares(x []float32) float64 { return l.Dot(x, x) }

// Largest returns the largest element of x: NaN if any is NaN, -Inf if x is empty.
func (l InstructionSet) Largest(x []float32) float32 { return reduces[l].largest(x) }

// SumRows adds the rows of the row-major matrix x[rows, cols], without gaps, over the columns j0 to j1: dst[j] = sum of x[i,j] over i. Rows are added in groups
// of 64, in order, and the groups' sums in float64, so any split of the columns gives the same result.
func SumRows(dst, x []float32, rows, cols, j0, j1 int) {
	const group, width = 64, 32
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

// halve adds the upper half of s to the lower until one sum is left.
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
