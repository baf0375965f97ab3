package kernels

// The matrix product of this file, with the stored matrices in row-major order:
//
//	c[i·LDC + j] = Σ_q A(i,q) · B(q,j)      plus the old c[i·LDC + j] with Accumulate
//	A(i,q) = a[i·LDA + q]                   a[q·LDA + i] with TransA
//	B(q,j) = b[q·LDB + j]                   b[j·LDB + q] with TransB
//
// i is a row of C (0 ≤ i < M), j a column of C (0 ≤ j < N), q an index of the sum (0 ≤ q < K). In
// the code k0 is the first q of a block and k the number of q in it.

// MatMul is the shape of a matrix product C[M,N] = op(A)·op(B), or of C += op(A)·op(B) with
// Accumulate. op(A) is M×K and op(B) is K×N; with TransA or TransB the transposed matrix is stored.
// LDA, LDB and LDC are the number of elements from one stored row to the next.
type MatMul struct {
	M, N, K        int
	LDA, LDB, LDC  int
	TransA, TransB bool
	Accumulate     bool

	// EachRow and Packed choose the order of summation for a product with TransB and without
	// TransA. By default it depends on M. With EachRow the product is always computed as dot
	// products, with Packed, if EachRow is not set, always in packed blocks. Then the bits of a row
	// of C do not depend on the number of rows.
	EachRow, Packed bool

	// Part, if it is not 0, makes each element of C the sum of a [Tree] over parts of Part
	// consecutive indices of the sum. The last part may be shorter. It is for a product that is
	// computed in packed blocks, has K ≤ MaxPartsK and at most 8 parts, and does not Accumulate.
	Part int
}

// MaxPartsK is the largest K of a product with parts.
const MaxPartsK = kBlock

// Tree calls leaf for each of n parts and adds the results: parts 0 and 1, parts 2 and 3, then the
// sums of these pairs, and so on. leaf puts part p in a buffer, add adds buffer from to buffer
// into. Buffer 0 has the result. The number of buffers is ⌈log₂ n⌉+1.
func Tree(n int, leaf func(p, buffer int), add func(into, from int)) {
	top := -1
	for p := range n {
		top++
		leaf(p, top)
		for q := p; q%2 == 1; q /= 2 {
			add(top-1, top)
			top--
		}
	}
	for ; top > 0; top-- {
		add(top-1, top)
	}
}

// Tile is a part of C: the rows I0 ≤ i < I1 and the columns J0 ≤ j < J1. A caller that splits C
// over workers splits its longer side, because each tile packs its operands again.
type Tile struct{ I0, I1, J0, J1 int }

// Whole returns the tile that is all of C.
func (m MatMul) Whole() Tile { return Tile{0, m.M, 0, m.N} }

// Sizes of the packed blocks. A panel of A remains in the first-level cache while the panels of B
// are read from the second-level cache.
const (
	kBlock = 256
	mBlock = 336 // a multiple of tileRows of every instruction set
	nBlock = 512
)

// fewRows is the largest number of rows of C for which the dot products of rows of A and rows of a
// transposed B are computed without packing. For so few rows packing B takes longer than it saves.
const fewRows = 24

// gemmTable contains the matrix product kernels of one instruction set. A register tile is a part
// of C whose sums are in registers: at most tileRows×tileCols elements.
type gemmTable struct {
	tileRows, tileCols int
	dotRows            int // rows of A in one call of dots

	// tile sets or adds c[r·ldc + j] = Σ_q a[q·rows + r] · b[q·ldb + j] for r < rows and j < cols.
	tile func(c []float32, ldc int, a, b []float32, ldb, k, rows, cols int, accumulate bool)
	// dots sets out[4·r + j] = Σ_q a[r·lda + q] · b[j·ldb + q] for r < rows and j < cols; cols is 1
	// or 4.
	dots func(out *[16]float32, a []float32, lda int, b []float32, ldb, k, rows, cols int)
	// copyRows sets dst[r·ldd + j] = src[r·lds + j] for r < rows and j < cols.
	copyRows func(dst []float32, ldd int, src []float32, lds, rows, cols int)
}

var gemms = [...]gemmTable{Portable: portableGemm, AVX2: avx2Gemm, AVX512: avx512Gemm}

// Sizes of the sums of parts of a register tile.
const (
	widest   = 32 // the largest tileCols
	highest  = 16 // at least the largest tileRows
	partSums = 4  // buffers of a Tree of 8 parts
)

// Scratch returns the number of float32 values of scratch that [InstructionSet.MatMul] needs for a
// tile of this product. It does not depend on the instruction set.
func (m MatMul) Scratch() int {
	n := (min(m.N, nBlock) + widest - 1) / widest * widest
	length := min(m.K, kBlock)*(n+min(m.M, mBlock)) + spill
	if m.Part > 0 {
		length += partSums * highest * widest
	}
	return length
}

// MatMul computes the tile t of C. c, a and b begin at the first elements of the matrices, for
// every tile. scratch has at least m.Scratch() elements and should be aligned to 64 bytes (see
// [Floats]).
//
// Every element of C is a sum in an order that depends on m and the instruction set only, so every
// split into tiles gives the same result. Portable rounds each product; AVX2 and AVX512 use fused
// multiply-adds.
func (isa InstructionSet) MatMul(m MatMul, c, a, b, scratch []float32, t Tile) {
	switch {
	case t.I0 >= t.I1 || t.J0 >= t.J1:
	case m.K == 0:
		if !m.Accumulate {
			for i := t.I0; i < t.I1; i++ {
				clear(c[i*m.LDC+t.J0 : i*m.LDC+t.J1])
			}
		}
	case m.TransB && !m.TransA && (m.M <= fewRows && !m.Packed || m.EachRow):
		gemms[isa].dotProducts(m, c, a, b, t)
	default:
		isa.packedMatMul(m, c, a, b, scratch, t)
	}
}

// packedMatMul computes a tile of C in blocks that fit the caches. In scratch B is packed into
// panels of tileCols columns and A into panels of at most tileRows rows, for k consecutive indices
// q from k0:
//
//	packedB[panel·k·tileCols + q·tileCols + j] = B(k0+q, j0 + panel·tileCols + j)    j < tileCols
//	packedA[(r0-i0)·k + q·(r1-r0) + r]         = A(r0+r, k0+q)                       r < r1-r0
//
// The loops, from the outermost to the innermost one:
//
//	j0     block of nBlock columns of C
//	k0     block of kBlock indices of the sum: packs B
//	block  block of at most mBlock rows of C, i0 ≤ i < i1: packs A
//	tile   rows r0 ≤ i < r1 of a register tile
//	j      first column of a register tile
//
// If C has one row of register tiles only and B is not transposed, each element of B is read once.
// Then the columns before full, which make up whole panels, are read in place.
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
						if m.Part > 0 {
							isa.tileOfParts(m, out, packedA[(r0-i0)*k:], panel, scratch[m.Scratch()-partSums*highest*widest:], ldb, r1-r0, cols)
							continue
						}
						g.tile(out, m.LDC, packedA[(r0-i0)*k:], panel, ldb, k, r1-r0, cols, m.Accumulate || k0 > 0)
					}
				}
			}
		}
	}
}

// tileOfParts computes one register tile of a product with parts. sums has space for the sums of
// parts.
func (isa InstructionSet) tileOfParts(m MatMul, c, a, b, sums []float32, ldb, rows, cols int) {
	g := &gemms[isa]
	length := rows * cols
	sum := func(buffer int) []float32 { return sums[buffer*length:][:length] }
	Tree((m.K+m.Part-1)/m.Part, func(p, buffer int) {
		k0, k1 := p*m.Part, min((p+1)*m.Part, m.K)
		g.tile(sum(buffer), cols, a[k0*rows:], b[k0*ldb:], ldb, k1-k0, rows, cols, false)
	}, func(into, from int) { isa.Add(sum(into), sum(into), sum(from)) })
	g.copyRows(c, m.LDC, sums, cols, rows, cols)
}

// share returns the first index of part i of the range from ≤ index < to, in n parts of nearly
// equal size.
func share(from, to, n, i int) int { return from + (to-from)*i/n }

// packB packs the rows k0 ≤ q < k0+k and the columns j0 ≤ j < j1 of op(B) into panels of tileCols
// columns. The last panel is padded with zeros.
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

// spill is the number of elements behind a packed panel that packA may overwrite.
const spill = 8

// packA packs the columns k0 ≤ q < k0+k of the rows i0 ≤ i < i1 of op(A) into one panel.
func (isa InstructionSet) packA(m MatMul, panel, a []float32, k0, k, i0, i1 int) {
	rows := i1 - i0
	if m.TransA {
		src := a[k0*m.LDA+i0:]
		_ = src[(k-1)*m.LDA+rows-1]
		gemms[isa].copyRows(panel[:rows*k], rows, src, m.LDA, k, rows)
		return
	}
	// Eight rows are transposed faster than fewer. The next column overwrites the surplus elements
	// of a column, and the next panel those of the last column.
	isa.Transpose(panel, rows, a[i0*m.LDA+k0:], m.LDA, min(max(rows, 8), m.M-i0), k)
}

// dotProducts computes a tile of C as dot products of rows of A and rows of a transposed B, without
// packing.
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
