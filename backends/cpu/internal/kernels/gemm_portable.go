package kernels

var portableGemm = gemmTable{tileRows: 2, tileCols: 4, dotRows: 1, tile: tilePortable, dots: dotsPortable, copyRows: copyRowsPortable}

// tilePortable computes a register tile of one or two rows and four columns.
func tilePortable(c []float32, ldc int, a, b []float32, ldb, k, rows, cols int, accumulate bool) {
	var sum [2][4]float32
	if rows == 2 {
		sum = tile2x4(a[:2*k], b, ldb)
	} else {
		for q, x := range a[:k] {
			for j, v := range b[q*ldb:][:4] {
				sum[0][j] += float32(x * v)
			}
		}
	}
	for r := range rows {
		row := c[r*ldc:][:cols]
		for j := range row {
			if accumulate {
				row[j] += sum[r][j]
			} else {
				row[j] = sum[r][j]
			}
		}
	}
}

// tile2x4 computes two rows in local variables, which the compiler keeps in registers:
// Σ_q a[2q + r] · b[q·ldb + j].
func tile2x4(a, b []float32, ldb int) [2][4]float32 {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	for q := 0; q < len(a); q += 2 {
		v := b[q/2*ldb:][:4]
		x, y := a[q], a[q+1]
		s00 += float32(x * v[0])
		s01 += float32(x * v[1])
		s02 += float32(x * v[2])
		s03 += float32(x * v[3])
		s10 += float32(y * v[0])
		s11 += float32(y * v[1])
		s12 += float32(y * v[2])
		s13 += float32(y * v[3])
	}
	return [2][4]float32{{s00, s01, s02, s03}, {s10, s11, s12, s13}}
}

// dotsPortable computes one row of a at a time.
func dotsPortable(out *[16]float32, a []float32, lda int, b []float32, ldb, k, rows, cols int) {
	for r := range rows {
		x := a[r*lda:][:k]
		if cols == 1 {
			var s float32
			for i, v := range b[:k] {
				s += float32(x[i] * v)
			}
			out[4*r] = s
			continue
		}
		b0, b1, b2, b3 := b[:k], b[ldb:][:k], b[2*ldb:][:k], b[3*ldb:][:k]
		var s0, s1, s2, s3 float32
		for i, v := range x {
			s0 += float32(v * b0[i])
			s1 += float32(v * b1[i])
			s2 += float32(v * b2[i])
			s3 += float32(v * b3[i])
		}
		*(*[4]float32)(out[4*r:]) = [4]float32{s0, s1, s2, s3}
	}
}

// copyRowsPortable copies one row at a time.
func copyRowsPortable(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	for i := range rows {
		copy(dst[i*ldd:][:cols], src[i*lds:][:cols])
	}
}
