package kernels

import (
	"fmt"
	"testing"
)

// matmulCase is a random product and its float64 result.
type matmulCase struct {
	m       MatMul
	a, b, c []float32
	want    []float64
}

func newMatmulCase(m, n, k int, transA, transB, accumulate bool) *matmulCase {
	s := MatMul{M: m, N: n, K: k, TransA: transA, TransB: transB, Accumulate: accumulate, LDC: n + 3}
	rowsA, rowsB := m, k
	s.LDA, s.LDB = k+1, n+2
	if transA {
		rowsA, s.LDA = k, m+1
	}
	if transB {
		rowsB, s.LDB = n, k+2
	}
	t := &matmulCase{m: s, a: random(1, rowsA*s.LDA), b: random(2, rowsB*s.LDB), c: random(3, m*s.LDC)}
	t.want = make([]float64, len(t.c))
	for i, v := range t.c {
		t.want[i] = float64(v)
	}
	for i := range m {
		for j := range n {
			sum := 0.0
			for q := range k {
				sum += float64(t.a[at(i, q, s.LDA, transA)]) * float64(t.b[at(q, j, s.LDB, transB)])
			}
			if accumulate {
				sum += float64(t.c[i*s.LDC+j])
			}
			t.want[i*s.LDC+j] = sum
		}
	}
	return t
}

// at returns the index of element (i, j) of op(X).
func at(i, j, ld int, trans bool) int {
	if trans {
		return j*ld + i
	}
	return i*ld + j
}

func TestMatMul(t *testing.T) {
	shapes := [][3]int{{1, 1, 1}, {1, 10, 64}, {2, 3, 0}, {5, 33, 17}, {16, 100, 70}, {29, 65, 31}, {43, 97, 300}, {3, 530, 600}, {130, 40, 513}}
	for n := 1; n < 68; n++ {
		shapes = append(shapes, [3]int{(n*5)%67 + 1, n, (n*11)%67 + 1})
	}
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, s := range shapes {
			for mode := range 8 {
				k := newMatmulCase(s[0], s[1], s[2], mode&1 != 0, mode&2 != 0, mode&4 != 0)
				what := fmt.Sprintf("%dx%dx%d transA=%v transB=%v accumulate=%v", s[0], s[1], s[2], k.m.TransA, k.m.TransB, k.m.Accumulate)
				scratch := Floats(k.m.Scratch())
				whole := append([]float32(nil), k.c...)
				isa.MatMul(k.m, whole, k.a, k.b, scratch, k.m.Whole())
				// Sums of up to 600 products of normal variables.
				near(t, what, whole, k.want, 1e-4)
				parts := append([]float32(nil), k.c...)
				for i := 0; i < s[0]; i += 19 {
					for j := 0; j < s[1]; j += 21 {
						isa.MatMul(k.m, parts, k.a, k.b, scratch, Tile{i, min(i+19, s[0]), j, min(j+21, s[1])})
					}
				}
				sameBits(t, what+" in tiles", parts, whole)
			}
		}
	})
}

// TestMatMulRowsDoNotDependOnM tests that with EachRow and with Packed a row of C has the same bits
// in products of any number of rows.
func TestMatMulRowsDoNotDependOnM(t *testing.T) {
	const most, n, k = 60, 45, 300
	a, b := random(1, most*k), random(2, n*k)
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, m := range []MatMul{{EachRow: true}, {Packed: true}} {
			m.M, m.N, m.K, m.LDA, m.LDB, m.LDC, m.TransB = most, n, k, k, k, n, true
			whole := make([]float32, most*n)
			isa.MatMul(m, whole, a, b, Floats(m.Scratch()), m.Whole())
			for _, m.M = range []int{1, 2, fewRows, fewRows + 1} {
				c := make([]float32, m.M*n)
				isa.MatMul(m, c, a, b, Floats(m.Scratch()), m.Whole())
				sameBits(t, fmt.Sprintf("EachRow=%v Packed=%v M=%d", m.EachRow, m.Packed, m.M), c, whole[:len(c)])
			}
		}
	})
}

func TestMatMulStaysInside(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, end := range []bool{false, true} {
			for n := 1; n < 68; n += 3 {
				for mode := range 4 {
					m := MatMul{M: n%17 + 1, N: n, K: n%13 + 1, TransA: mode&1 != 0, TransB: mode&2 != 0}
					m.LDA, m.LDB, m.LDC = m.K, m.N, m.N
					if m.TransA {
						m.LDA = m.M
					}
					if m.TransB {
						m.LDB = m.K
					}
					c, a, b := guarded(t, m.M*m.N, end), guarded(t, m.M*m.K, end), guarded(t, m.K*m.N, end)
					isa.MatMul(m, c, a, b, guarded(t, m.Scratch(), end), m.Whole())
				}
			}
		}
	})
}

func BenchmarkMatMul(b *testing.B) {
	for _, isa := range instructionSets() {
		for _, s := range []MatMul{
			{M: 1024, N: 1024, K: 1024, LDA: 1024, LDB: 1024, LDC: 1024},
			{M: 1024, N: 1024, K: 1024, LDA: 1024, LDB: 1024, LDC: 1024, TransB: true},
			{M: 1024, N: 1024, K: 1024, LDA: 1024, LDB: 1024, LDC: 1024, TransA: true},
			{M: 256, N: 256, K: 256, LDA: 256, LDB: 256, LDC: 256},
			{M: 128, N: 10, K: 64, LDA: 64, LDB: 64, LDC: 10, TransB: true},
			{M: 10, N: 64, K: 128, LDA: 10, LDB: 64, LDC: 64, TransA: true},
			{M: 16, N: 1000, K: 2048, LDA: 2048, LDB: 2048, LDC: 1000, TransB: true},
			{M: 1, N: 1000, K: 2048, LDA: 2048, LDB: 2048, LDC: 1000, TransB: true},
			{M: 1, N: 1000, K: 2048, LDA: 2048, LDB: 1000, LDC: 1000},
		} {
			if isa == Portable && s.M*s.N*s.K > 1<<25 {
				continue
			}
			a, x, c := random(1, s.M*s.K), random(2, s.K*s.N), Floats(s.M*s.N)
			scratch := Floats(s.Scratch())
			b.Run(fmt.Sprintf("%v/%dx%dx%d/%v%v", isa, s.M, s.N, s.K, s.TransA, s.TransB), func(b *testing.B) {
				benchWithPeak(b, isa, 2*float64(s.M*s.N*s.K), func() { isa.MatMul(s, c, a, x, scratch, s.Whole()) })
			})
		}
	}
}
