package kernels

// MatMul is the shape of a matrix product C[M,N] = op(A)·op(B), or C += with Accumulate. op(A) is M by K and op(B) K by N; a transposed operand is stored
// the other way round. Matrices are row-major: LDA, LDB and LDC are the elements from one stored row to the next.
type MatMul struct {
	M, N, K        int
	LDA, LDB, LDC  int
	TransA, TransB bool
	Accumulate     bool
}

// Tile is a part of C: rows I0 to I1 and columns J0 to J1.
type Tile struct{ I0, I1, J0, J1 int }

// Whole is the tile that covers all of C.
func (m MatMul) Whole() Tile { return Tile{0, m.M, 0, m.N} }

// Scratch returns the number of float32 values of working memory that [Level.MatMul] needs for a tile of this product. It does not depend on the
// level.
func (m MatMul) Scratch() int { return 0 }

// MatMul computes the tile t of C. Slices begin at the matrices' first elements, whatever the tile. scratch has at least m.Scratch() elements and is
// best aligned to 64 bytes (see [Floats]).
//
// Every element of C is a sum over k in an order that depends on the shape m and the level only, so any division into tiles gives the same
// result. Portable rounds after each product; the other levels use fused multiply-adds.
func (l Level) MatMul(m MatMul, c, a, b, scratch []float32, t Tile) {
	matmulPortable(m, c, a, b, t)
}

// matmulPortable adds rows of op(B), or takes dot products where those lie in memory the other way round.
func matmulPortable(m MatMul, c, a, b []float32, t Tile) {
	for i := t.I0; i < t.I1; i++ {
		row := c[i*m.LDC+t.J0 : i*m.LDC+t.J1]
		if !m.Accumulate {
			clear(row)
		}
		for k := range m.K {
			x := a[m.at(i, k, m.LDA, m.TransA)]
			if m.TransB {
				for j := range row {
					row[j] += float32(x * b[(t.J0+j)*m.LDB+k])
				}
				continue
			}
			for j, v := range b[k*m.LDB+t.J0 : k*m.LDB+t.J1] {
				row[j] += float32(x * v)
			}
		}
	}
}

// at returns where element (i, j) of op(X) is stored.
func (m MatMul) at(i, j, ld int, trans bool) int {
	if trans {
		return j*ld + i
	}
	return i*ld + j
}
