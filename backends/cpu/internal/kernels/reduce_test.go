package kernels

import (
	"fmt"
	"math"
	"testing"
)

func TestReductionsAreOneOrderAtEveryLevel(t *testing.T) {
	eachLevel(t, func(t *testing.T, l InstructionSet) {
		for _, n := range append(oddSizes(), SumChunk-1, SumChunk, SumChunk+1, 3*SumChunk+77) {
			x, y := random(1, n), random(2, n)
			var sum, dot float64
			largest := math.Inf(-1)
			for i := range x {
				sum += float64(x[i])
				dot += float64(x[i]) * float64(y[i])
				largest = max(largest, float64(x[i]))
			}
			// Against float64: 64 running sums of at most 64 elements each.
			tol := 1e-6 * math.Sqrt(float64(n)+1)
			for what, d := range map[string]float64{"sum": l.Sum(x) - sum, "dot": l.Dot(x, y) - dot} {
				if math.Abs(d) > tol {
					t.Errorf("%s of %d: off by %g", what, n, d)
				}
			}
			if got := l.Largest(x); float64(got) != largest {
				t.Errorf("largest of %d: %v, want %v", n, got, largest)
			}
			// Against portable: bit for bit, whole and in chunks.
			if l.Sum(x) != Portable.Sum(x) || l.Dot(x, y) != Portable.Dot(x, y) || l.SumSquares(x) != Portable.SumSquares(x) {
				t.Errorf("%d elements: sum %v dot %v, portable %v %v", n, l.Sum(x), l.Dot(x, y), Portable.Sum(x), Portable.Dot(x, y))
			}
			sums, dots := make([]float32, Chunks(n)), make([]float32, Chunks(n))
			l.ChunkSums(sums, x)
			l.ChunkDots(dots, x, y)
			var bySums, byDots float64
			for i := range sums {
				bySums += float64(sums[i])
				byDots += float64(dots[i])
			}
			if bySums != l.Sum(x) || byDots != l.Dot(x, y) {
				t.Errorf("%d elements: chunks add up to %v and %v, want %v and %v", n, bySums, byDots, l.Sum(x), l.Dot(x, y))
			}
		}
	})
}

func TestLargestSeesNaN(t *testing.T) {
	eachLevel(t, func(t *testing.T, l InstructionSet) {
		for n := 1; n < 70; n++ {
			for at := range n {
				x := random(1, n)
				x[at] = float32(math.NaN())
				if got := l.Largest(x); got == got {
					t.Fatalf("largest of %d with NaN at %d is %v", n, at, got)
				}
			}
		}
	})
}

func TestSumRows(t *testing.T) {
	for _, rows := range []int{0, 1, 3, 64, 65, 200} {
		for _, cols := range []int{1, 10, 32, 67} {
			x := random(1, rows*cols)
			want := make([]float64, cols)
			for i, v := range x {
				want[i%cols] += float64(v)
			}
			whole, parts := make([]float32, cols), make([]float32, cols)
			SumRows(whole, x, rows, cols, 0, cols)
			near(t, fmt.Sprintf("%dx%d", rows, cols), whole, want, 1e-5)
			for j := range cols {
				SumRows(parts, x, rows, cols, j, j+1)
			}
			sameBits(t, "in parts", parts, whole)
		}
	}
}
