package kernels

import (
	"fmt"
	"math"
	"testing"
)

func TestReductionsHaveOneOrder(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
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
			for what, d := range map[string]float64{"sum": isa.Sum(x) - sum, "dot": isa.Dot(x, y) - dot} {
				if math.Abs(d) > tol {
					t.Errorf("%s of %d: off by %g", what, n, d)
				}
			}
			if got := isa.Largest(x); float64(got) != largest {
				t.Errorf("largest of %d: %v, want %v", n, got, largest)
			}
			// Against Portable: bit for bit.
			if isa.Sum(x) != Portable.Sum(x) || isa.Dot(x, y) != Portable.Dot(x, y) {
				t.Errorf("%d elements: sum %v dot %v, portable %v %v", n, isa.Sum(x), isa.Dot(x, y), Portable.Sum(x), Portable.Dot(x, y))
			}
			// In chunks: the same sum.
			var chunks float64
			for i := range Chunks(n) {
				chunks += isa.Sum(x[i*SumChunk : min((i+1)*SumChunk, n)])
			}
			if chunks != isa.Sum(x) {
				t.Errorf("%d elements: chunks add up to %v, want %v", n, chunks, isa.Sum(x))
			}
		}
	})
}

func TestLargestSeesNaN(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for n := 1; n < 70; n++ {
			for at := range n {
				x := random(1, n)
				x[at] = float32(math.NaN())
				if got := isa.Largest(x); got == got {
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
