package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemm emits the kernels of the matrix product: the register tile over packed panels, the dot
// products for few rows, and the two kernels that pack. The table gemmTable of package kernels has
// their formulas.
func gemm(c *build.Context) {
	iota8(c)
	widths(c, func(s *simd) {
		tile(s)
		dots(s)
		copyRows(s)
	})
	transpose8(&simd{c, false})
}

// tileRows returns the largest number of rows of a register tile. A row has two vectors. The sums,
// two vectors of B and one broadcast element of A then need all registers.
func (s *simd) tileRows() int {
	if s.wide {
		return 14
	}
	return 6
}

// tile emits c[r,j] = Σ_q a[q·rows + r] · b[q·ldb + j], or += with accumulate, for r < rows and
// j < cols. The rows of b can be read up to the next whole vector.
func tile(s *simd) {
	function(s.Context, s.name("tile"), "func(c []float32, ldc int, a, b []float32, ldb, k, rows, cols int, accumulate bool)",
		fmt.Sprintf("%s computes one register tile, 1 ≤ rows ≤ %d and 1 ≤ cols ≤ %d, k ≥ 1.",
			s.name("tile"), s.tileRows(), 2*s.lanes()))
	a, b := s.slice("a"), s.slice("b")
	c := s.slice("c")
	ldc, ldb := s.integer("ldc"), s.integer("ldb")
	k, rows, cols := s.integer("k"), s.integer("rows"), s.integer("cols")
	s.SHLQ(operand.U8(2), ldc)
	s.SHLQ(operand.U8(2), ldb)
	for vectors := 2; vectors > 0; vectors-- {
		if vectors == 2 {
			s.CMPQ(cols, operand.I8(s.lanes()))
			s.JLE(operand.LabelRef("single"))
		} else {
			s.Label("single")
		}
		for r := s.tileRows(); r > 0; r-- {
			next := fmt.Sprintf("not%dx%d", r, vectors)
			if r > 1 {
				s.CMPQ(rows, operand.I8(r))
				s.JNE(operand.LabelRef(next))
			}
			sub := fmt.Sprintf("%dx%d", r, vectors)
			s.prefetchTile(r, vectors, c, ldc)
			acc := s.multiply(sub, r, vectors, a, b, ldb, k)
			s.storeTile(sub, acc, c, ldc, cols)
			s.done()
			if r > 1 {
				s.Label(next)
			}
		}
	}
}

// multiply emits the loop over the k indices q of a tile, and returns the sums, row by row.
func (s *simd) multiply(sub string, rows, vectors int, a, b, ldb, k reg.Register) [][]reg.VecVirtual {
	acc := make([][]reg.VecVirtual, rows)
	for r := range acc {
		acc[r] = s.vecs(vectors)
		for _, v := range acc[r] {
			s.zero(v)
		}
	}
	s.Label("k" + sub)
	for disp := 0; disp < vectors*s.bytes(); disp += cacheLine {
		s.PREFETCHT0(operand.Mem{Base: b, Index: ldb, Scale: 8, Disp: disp})
	}
	bs := make([]reg.VecVirtual, vectors)
	for v := range bs {
		bs[v] = s.load(at(b, nil, v*s.bytes()))
	}
	for r := range acc {
		x := s.broadcast(at(a, nil, 4*r))
		for v := range bs {
			s.VFMADD231PS(bs[v], x, acc[r][v])
		}
	}
	s.ADDQ(operand.I8(4*rows), a)
	s.ADDQ(ldb, b)
	s.DECQ(k)
	s.JNE(operand.LabelRef("k" + sub))
	return acc
}

// prefetchTile emits prefetches of the cache lines of C that storeTile writes.
func (s *simd) prefetchTile(rows, vectors int, c, ldc reg.Register) {
	p := s.GP64()
	s.MOVQ(c, p)
	for r := range rows {
		for disp := 0; disp < vectors*s.bytes(); disp += cacheLine {
			s.PREFETCHT0(at(p, nil, disp))
		}
		if r+1 < rows {
			s.ADDQ(ldc, p)
		}
	}
}

// storeTile emits the stores of the first cols columns of a tile, and before them the addition of C
// if the argument accumulate is set.
func (s *simd) storeTile(sub string, acc [][]reg.VecVirtual, c, ldc reg.Register, cols reg.GPVirtual) {
	vectors := len(acc[0])
	last := vectors - 1
	flag := s.Load(s.Param("accumulate"), s.GP8())
	rows := func(accumulate bool, mask reg.Register) {
		for r := range acc {
			for v, x := range acc[r] {
				m := at(c, nil, v*s.bytes())
				part := mask != nil && v == last
				switch {
				case accumulate && part:
					s.VADDPS(s.loadPart(m, mask), x, x)
				case accumulate:
					s.VADDPS(m, x, x)
				}
				if part {
					s.storePart(x, m, mask)
				} else {
					s.VMOVUPS(x, m)
				}
			}
			if r+1 < len(acc) {
				s.ADDQ(ldc, c)
			}
		}
	}
	s.CMPQ(cols, operand.I8(vectors*s.lanes()))
	s.JNE(operand.LabelRef("part" + sub))
	s.TESTB(flag, flag)
	s.JNE(operand.LabelRef("add" + sub))
	rows(false, nil)
	s.JMP(operand.LabelRef("end" + sub))
	s.Label("add" + sub)
	rows(true, nil)
	s.JMP(operand.LabelRef("end" + sub))
	s.Label("part" + sub)
	if last > 0 {
		s.SUBQ(operand.I8(last*s.lanes()), cols)
	}
	m := s.mask(cols)
	s.TESTB(flag, flag)
	s.JNE(operand.LabelRef("partadd" + sub))
	rows(false, m)
	s.JMP(operand.LabelRef("end" + sub))
	s.Label("partadd" + sub)
	rows(true, m)
	s.Label("end" + sub)
}

// dotRows returns the largest number of rows of A of one call of dots.
func (s *simd) dotRows() int {
	if s.wide {
		return 4
	}
	return 2
}

// dots emits dot products of rows of A and one or four rows of B. Product q of a sum is added to
// lane q mod lanes of one vector, for every number of rows.
func dots(s *simd) {
	function(s.Context, s.name("dots"), "func(out *[16]float32, a []float32, lda int, b []float32, ldb, k, rows, cols int)",
		fmt.Sprintf("%s sets out[4*i+j] to the dot product of row i of a and row j of b, 1 ≤ rows ≤ %d, cols 1 or 4.",
			s.name("dots"), s.dotRows()))
	a, b := s.slice("a"), s.slice("b")
	lda, ldb := s.integer("lda"), s.integer("ldb")
	k, rows, cols := s.integer("k"), s.integer("rows"), s.integer("cols")
	s.SHLQ(operand.U8(2), lda)
	s.SHLQ(operand.U8(2), ldb)
	for _, w := range []int{4, 1} {
		if w == 4 {
			s.CMPQ(cols, operand.I8(4))
			s.JNE(operand.LabelRef("single"))
		} else {
			s.Label("single")
		}
		for r := s.dotRows(); r > 0; r-- {
			sub := fmt.Sprintf("%dx%d", r, w)
			if r > 1 {
				s.CMPQ(rows, operand.I8(r))
				s.JNE(operand.LabelRef("not" + sub))
			}
			s.dotBlock(sub, s.rowPointers(a, lda, r), s.rowPointers(b, ldb, w), k)
			if r > 1 {
				s.Label("not" + sub)
			}
		}
	}
}

// rowPointers returns the addresses of n rows.
func (s *simd) rowPointers(base, ld reg.Register, n int) []reg.Register {
	p := []reg.Register{base}
	for i := 1; i < n; i++ {
		next := s.GP64()
		s.LEAQ(operand.Mem{Base: p[i-1], Index: ld, Scale: 1}, next)
		p = append(p, next)
	}
	return p
}

// dotBlock emits the dot products of the rows as and bs, their stores and the return.
func (s *simd) dotBlock(sub string, as, bs []reg.Register, k reg.GPVirtual) {
	acc := make([][]reg.VecVirtual, len(as))
	for r := range acc {
		acc[r] = s.vecs(len(bs))
		for _, v := range acc[r] {
			s.zero(v)
		}
	}
	i := s.GP64()
	s.XORQ(i, i)
	step := func(load func(operand.Mem) reg.VecVirtual) {
		bv := make([]reg.VecVirtual, len(bs))
		for j, p := range bs {
			bv[j] = load(at(p, i, 0))
		}
		for r, p := range as {
			x := load(at(p, i, 0))
			for j := range bs {
				s.VFMADD231PS(bv[j], x, acc[r][j])
			}
		}
	}
	s.Label("k" + sub)
	s.CMPQ(k, operand.I8(s.lanes()))
	s.JLT(operand.LabelRef("tail" + sub))
	step(s.load)
	s.ADDQ(operand.I8(s.bytes()), i)
	s.SUBQ(operand.I8(s.lanes()), k)
	s.JMP(operand.LabelRef("k" + sub))
	s.Label("tail" + sub)
	s.TESTQ(k, k)
	s.JE(operand.LabelRef("fold" + sub))
	m := s.mask(k)
	step(func(mem operand.Mem) reg.VecVirtual { return s.loadPart(mem, m) })
	s.Label("fold" + sub)
	out := s.Load(s.Param("out"), s.GP64())
	for r := range acc {
		for j, v := range acc[r] {
			low := s.foldSum(v)
			s.VMOVSS(low, at(out, nil, 4*(4*r+j)))
		}
	}
	s.done()
}

// copyRows emits the copy of rows of at most two vectors: dst[r·ldd + j] = src[r·lds + j].
func copyRows(s *simd) {
	function(s.Context, s.name("copyRows"), "func(dst []float32, ldd int, src []float32, lds, rows, cols int)",
		fmt.Sprintf("%s copies rows of cols elements, 1 ≤ cols ≤ %d, rows ≥ 1.", s.name("copyRows"), 2*s.lanes()))
	dst, src := s.slice("dst"), s.slice("src")
	ldd, lds := s.integer("ldd"), s.integer("lds")
	rows, cols := s.integer("rows"), s.integer("cols")
	s.SHLQ(operand.U8(2), ldd)
	s.SHLQ(operand.U8(2), lds)
	loop := func(name string, row func()) {
		s.Label(name)
		row()
		s.ADDQ(ldd, dst)
		s.ADDQ(lds, src)
		s.DECQ(rows)
		s.JNE(operand.LabelRef(name))
		s.done()
	}
	full := func(v int) { s.VMOVUPS(s.load(at(src, nil, v*s.bytes())), at(dst, nil, v*s.bytes())) }
	s.CMPQ(cols, operand.I8(2*s.lanes()))
	s.JE(operand.LabelRef("two"))
	s.CMPQ(cols, operand.I8(s.lanes()))
	s.JE(operand.LabelRef("one"))
	s.JLT(operand.LabelRef("short"))
	s.SUBQ(operand.I8(s.lanes()), cols)
	long := s.mask(cols)
	loop("long", func() {
		full(0)
		s.storePart(s.loadPart(at(src, nil, s.bytes()), long), at(dst, nil, s.bytes()), long)
	})
	s.Label("short")
	short := s.mask(cols)
	loop("shortrow", func() { s.storePart(s.loadPart(at(src, nil, 0), short), at(dst, nil, 0), short) })
	s.Label("one")
	loop("onerow", func() { full(0) })
	s.Label("two")
	loop("tworow", func() { full(0); full(1) })
}

// transpose8 emits the transposition of 8 rows and a multiple of 8 columns. The loads put the rows
// i and i+4 into the two halves of one register. Then each half is a 4×4 transposition.
func transpose8(s *simd) {
	function(s.Context, "transpose8", "func(dst []float32, ldd int, src []float32, lds, cols int)",
		"transpose8 sets dst[j*ldd+i] = src[i*lds+j] for 0 ≤ i < 8 and 0 ≤ j < cols, cols a positive multiple of 8. It needs AVX.")
	dst, src := s.slice("dst"), s.slice("src")
	ldd, lds, cols := s.integer("ldd"), s.integer("lds"), s.integer("cols")
	s.SHLQ(operand.U8(2), ldd)
	s.SHLQ(operand.U8(2), lds)
	ldd3, lds3, src4 := s.GP64(), s.GP64(), s.GP64()
	s.LEAQ(operand.Mem{Base: ldd, Index: ldd, Scale: 2}, ldd3)
	s.LEAQ(operand.Mem{Base: lds, Index: lds, Scale: 2}, lds3)
	s.LEAQ(operand.Mem{Base: src, Index: lds, Scale: 4}, src4)
	row := func(base, ld, ld3 reg.Register, i, disp int) operand.Mem {
		switch i {
		case 0:
			return operand.Mem{Base: base, Disp: disp}
		case 3:
			return operand.Mem{Base: base, Index: ld3, Scale: 1, Disp: disp}
		}
		return operand.Mem{Base: base, Index: ld, Scale: uint8(i), Disp: disp}
	}
	s.Label("loop")
	for half := range 2 {
		var r [4]reg.VecVirtual
		for i := range r {
			r[i] = s.YMM()
			s.VMOVUPS(row(src, lds, lds3, i, 16*half), r[i].AsX())
			s.VINSERTF128(operand.U8(1), row(src4, lds, lds3, i, 16*half), r[i], r[i])
		}
		ab, cd, ef, gh := s.YMM(), s.YMM(), s.YMM(), s.YMM()
		s.VUNPCKLPS(r[1], r[0], ab) // rows 0 and 1 of columns 0 and 1
		s.VUNPCKHPS(r[1], r[0], cd) // of columns 2 and 3
		s.VUNPCKLPS(r[3], r[2], ef)
		s.VUNPCKHPS(r[3], r[2], gh)
		out := [4]reg.VecVirtual{s.YMM(), s.YMM(), s.YMM(), s.YMM()}
		s.VUNPCKLPD(ef, ab, out[0])
		s.VUNPCKHPD(ef, ab, out[1])
		s.VUNPCKLPD(gh, cd, out[2])
		s.VUNPCKHPD(gh, cd, out[3])
		for j, v := range out {
			s.VMOVUPS(v, row(dst, ldd, ldd3, j, 0))
		}
		s.LEAQ(operand.Mem{Base: dst, Index: ldd, Scale: 4}, dst)
	}
	s.ADDQ(operand.I8(32), src)
	s.ADDQ(operand.I8(32), src4)
	s.SUBQ(operand.I8(8), cols)
	s.JNE(operand.LabelRef("loop"))
	s.done()
}
