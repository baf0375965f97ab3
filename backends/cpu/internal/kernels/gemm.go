package kernels

// MatMul is the shape of a matrix product C[M,N] = op(A)·op(B), or C += with Accumulate. op(A) is M by K and op(B) K by N; a transposed operand is stored
// the other way round. Matrices are row-major: LDA, LDB and LDC are the elements from one stored row to the next.
type MatMul struct {
	M, N, K        int
	LDA, LDB, LDC  int
	TransA, TransB bool
	Accumulate     bool
	EachRow        bool // a row of C does not depend on M, bit for bit
}

// Tile is a part of C: rows I0 to I1 and columns J0 to J1. Cut C along its longer side: each tile packs all of the operand that it shares with the others.
type Tile struct{ I0, I1, J0, J1 int }

// Whole is the tile that covers all of C.
func (m MatMul) Whole() Tile { return Tile{0, m.M, 0, m.N} }

// Sizes of the packed blocks. A panel of A stays in the first cache while the panels of B stream by from the second; going along a row of panels stays on the same
// memory pages of C.
const (
	kBlock = 256
	mBlock = 336 // a multiple of every level's tile height
	nBlock = 512
)

// fewRows is the number of rows of C up to which dot products with the rows of a transposed B are taken in place: packing B would cost more than it saves.
const fewRows = 24

// gemmTable is one level's parts of a matrix product.
type gemmTable struct {
	tileRows, tileCols int // of the register tile
	dotRows            int
	tile               func(c []float32, ldc int, a, b []float32, ldb, k, rows, cols int, accumulate bool)
	dots               func(out *[16]float32, a []float32, lda int, b []float32, ldb, k, rows, cols int)
	copyRows           func(dst []float32, ldd int, src []float32, lds, rows, cols int)
}

var gemms = [...]gemmTable{Portable: portableGemm, AVX2: avx2Gemm, AVX512: avx512Gemm}

// Scratch returns the number of float32 values of working memory that [InstructionSet.MatMul] needs for a tile of this product. It does not depend on the
// level.
func (m MatMul) Scratch() int {
	const widest = 32
	n := (min(m.N, nBlock) + widest - 1) / widest * widest
	return min(m.K, kBlock)*(n+min(m.M, mBlock)) + spill
}

// MatMul computes the tile t of C. Slices begin at the matrices' first elements, whatever the tile. scratch has at least m.Scratch() elements and is
// best aligned to 64 bytes (see [Floats]).
//
// Every element of C is a sum over k in an order that depends on the shape m and the level only, so any division into tiles gives the same
// result. Portable rounds after each product; the other levels use fused multiply-adds.
func (isa InstructionSet) MatMul(m MatMul, c, a, b, scratch []float32, t Tile) {
	switch {
	case t.I0 >= t.I1 || t.J0 >= t.J1:
	case m.K == 0:
		if !m.Accumulate {
			for i := t.I0; i < t.I1; i++ {
				clear(c[i*m.LDC+t.J0 : i*m.LDC+t.J1])
			}
		}
	case m.TransB && !m.TransA && (m.M <= fewRows || m.EachRow):
		gemms[isa].dotProducts(m, c, a, b, t)
	default:
		isa.packedMatMul(m, c, a, b, scratch, t)
	}
}

// packedMatMul walks over C in blocks that fit the caches: B is packed into panels as wide as a register tile, A into panels as high as one. Where one
// panel of A is all there is, and B's rows lie right, B is read in place, for it is read only once.
func (isa InstructionSet) packedMatMul(m MatMul, c, a, b, scratch []float32, t Tile) {
	g := &gemms[isa]
	inPlace := !m.TransB && m.M <= g.tileRows
	for j0 := t.J0; j0 < t.J1; j0 += nBlock {
		j1 := min(j0+nBlock, t.J1)
		full := j0
		if inPlace {
			full += (j1 - j0) / g.tileCols * g.tileCols
		}
		for k0 := 0; k0 < m.K; k0 += kBlock {
			k := min(kBlock, m.K-k0)
			panels := (j1 - j0 + g.tileCols - 1) / g.tileCols
			packedB, packedA := scratch[:panels*g.tileCols*k], scratch[panels*g.tileCols*k:]
			isa.packB(m, packedB[(full-j0)*k:], b, k0, k, full, j1)
			blocks := (t.I1 - t.I0 + mBlock - 1) / mBlock
			for block := range blocks {
				i0, i1 := share(t.I0, t.I1, blocks, block), share(t.I0, t.I1, blocks, block+1)
				tiles := (i1 - i0 + g.tileRows - 1) / g.tileRows
				for tile := range tiles {
					r0, r1 := share(i0, i1, tiles, tile), share(i0, i1, tiles, tile+1)
					isa.packA(m, packedA[(r0-i0)*k:], a, k0, k, r0, r1)
				}
				for tile := range tiles {
					r0, r1 := share(i0, i1, tiles, tile), share(i0, i1, tiles, tile+1)
					for j := j0; j < j1; j += g.tileCols {
						cols := min(g.tileCols, j1-j)
						panel, ldb := packedB[(j-j0)*k:], g.tileCols
						if j < full {
							panel, ldb = b[k0*m.LDB+j:(k0+k-1)*m.LDB+j+cols], m.LDB
						}
						out := c[r0*m.LDC+j : (r1-1)*m.LDC+j+cols]
						g.tile(out, m.LDC, packedA[(r0-i0)*k:], panel, ldb, k, r1-r0, cols, m.Accumulate || k0 > 0)
					}
				}
			}
		}
	}
}

// share returns where part i begins when from to to is cut into n parts of nearly equal size.
func share(from, to, n, i int) int { return from + (to-from)*i/n }

// packB copies rows k0 to k0+k and columns j0 to j1 of op(B) into panels of tileCols columns, the last filled up with zeros.
func (isa InstructionSet) packB(m MatMul, dst, b []float32, k0, k, j0, j1 int) {
	g := &gemms[isa]
	for ; j0 < j1; j0 += g.tileCols {
		cols := min(g.tileCols, j1-j0)
		panel := dst[:g.tileCols*k]
		dst = dst[g.tileCols*k:]
		if cols < g.tileCols {
			clear(panel)
		}
		if m.TransB {
			isa.Transpose(panel, g.tileCols, b[j0*m.LDB+k0:], m.LDB, cols, k)
		} else {
			src := b[k0*m.LDB+j0:]
			_ = src[(k-1)*m.LDB+cols-1]
			g.copyRows(panel, g.tileCols, src, m.LDB, k, cols)
		}
	}
}

// spill is how many elements behind a packed panel packA may overwrite.
const spill = 8

// packA copies columns k0 to k0+k of the rows i0 to i1 of op(A) into one panel, column by column.
func (isa InstructionSet) packA(m MatMul, panel, a []float32, k0, k, i0, i1 int) {
	rows := i1 - i0
	if m.TransA {
		src := a[k0*m.LDA+i0:]
		_ = src[(k-1)*m.LDA+rows-1]
		gemms[isa].copyRows(panel[:rows*k], rows, src, m.LDA, k, rows)
		return
	}
	// Eight rows are transposed faster than fewer: the surplus of a column is overwritten by the next one, and the last by the next panel.
	isa.Transpose(panel, rows, a[i0*m.LDA+k0:], m.LDA, min(max(rows, 8), m.M-i0), k)
}

// dotProducts computes a tile of C from rows of A and rows of a transposed B, neither of them packed.
func (g *gemmTable) dotProducts(m MatMul, c, a, b []float32, t Tile) {
	var out [16]float32
	_, _ = a[(t.I1-1)*m.LDA+m.K-1], b[(t.J1-1)*m.LDB+m.K-1]
	for j := t.J0; j < t.J1; {
		cols := 4
		if j+4 > t.J1 {
			cols = 1
		}
		for i := t.I0; i < t.I1; i += g.dotRows {
			rows := min(g.dotRows, t.I1-i)
			g.dots(&out, a[i*m.LDA:], m.LDA, b[j*m.LDB:], m.LDB, m.K, rows, cols)
			for r := range rows {
				dst := c[(i+r)*m.LDC+j:][:cols]
				for q, v := range out[4*r:][:cols] {
					if m.Accumulate {
						v += dst[q]
					}
					dst[q] = v
				}
			}
		}
		j += cols
	}
}
