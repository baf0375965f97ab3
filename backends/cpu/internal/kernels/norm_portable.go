package kernels

var portableNorm = normTable{
	moments:      momentsPortable,
	apply:        applyPortable,
	applyRelu:    applyReluPortable,
	applyAdd:     applyAddPortable,
	applyAddRelu: applyAddReluPortable,
	gradSums:     gradSumsPortable,
	gradSumsRelu: gradSumsReluPortable,
	gradMasked:   gradMaskedPortable,
	input:        inputPortable,
	inputRelu:    inputReluPortable,
}

// lanesOf returns the first 16 elements of x as an array, so that indices need no bounds checks.
func lanesOf(x []float32) *[Block]float32 { return (*[Block]float32)(x) }

func momentsPortable(part, x []float32) {
	shift := *lanesOf(x)
	var sum, squares [2][Block]float32
	for i := 0; i < len(x); i += Block {
		s, q := &sum[i/Block%2], &squares[i/Block%2]
		for j, v := range lanesOf(x[i:]) {
			d := v - shift[j]
			s[j] += d
			q[j] += float32(d * d)
		}
	}
	copy(part, shift[:])
	for j := range Block {
		part[Block+j] = sum[0][j] + sum[1][j]
		part[2*Block+j] = squares[0][j] + squares[1][j]
	}
}

func applyPortable(y, x, mean, scale, shift []float32) {
	m, c, s := lanesOf(mean), lanesOf(scale), lanesOf(shift)
	for i := 0; i < len(y); i += Block {
		out := lanesOf(y[i:])
		for j, v := range lanesOf(x[i:]) {
			out[j] = float32((v-m[j])*c[j]) + s[j]
		}
	}
}

func applyReluPortable(y, x, mean, scale, shift []float32) {
	applyPortable(y, x, mean, scale, shift)
	reluPortable(y, y)
}

func applyAddPortable(y, x, residual, mean, scale, shift []float32) {
	m, c, s := lanesOf(mean), lanesOf(scale), lanesOf(shift)
	for i := 0; i < len(y); i += Block {
		out, r := lanesOf(y[i:]), lanesOf(residual[i:])
		for j, v := range lanesOf(x[i:]) {
			out[j] = float32((v-m[j])*c[j]) + s[j] + r[j]
		}
	}
}

func applyAddReluPortable(y, x, residual, mean, scale, shift []float32) {
	applyAddPortable(y, x, residual, mean, scale, shift)
	reluPortable(y, y)
}

func gradSumsPortable(part, dy, x, mean []float32) {
	var sum, prod [2][Block]float32
	m := lanesOf(mean)
	for i := 0; i < len(x); i += Block {
		s, p, d := &sum[i/Block%2], &prod[i/Block%2], lanesOf(dy[i:])
		for j, v := range lanesOf(x[i:]) {
			s[j] += d[j]
			p[j] += float32(d[j] * (v - m[j]))
		}
	}
	storeGradSums(part, &sum, &prod)
}

func gradMaskedPortable(part, dy, y, x, mean []float32) {
	var sum, prod [2][Block]float32
	m := lanesOf(mean)
	for i := 0; i < len(x); i += Block {
		s, p, d, keep := &sum[i/Block%2], &prod[i/Block%2], lanesOf(dy[i:]), lanesOf(y[i:])
		for j, v := range lanesOf(x[i:]) {
			g := wherePositive(keep[j], d[j])
			s[j] += g
			p[j] += float32(g * (v - m[j]))
		}
	}
	storeGradSums(part, &sum, &prod)
}

func gradSumsReluPortable(part, g, dy, y, x, mean []float32) {
	reluGradPortable(g, dy, y)
	gradSumsPortable(part, g, x, mean)
}

func storeGradSums(part []float32, sum, prod *[2][Block]float32) {
	for j := range Block {
		part[j] = sum[0][j] + sum[1][j]
		part[Block+j] = prod[0][j] + prod[1][j]
	}
}

func inputPortable(dx, dy, x, mean, scale, meanGrad, slope []float32) {
	m, c, a, b := lanesOf(mean), lanesOf(scale), lanesOf(meanGrad), lanesOf(slope)
	for i := 0; i < len(dx); i += Block {
		out, d := lanesOf(dx[i:]), lanesOf(dy[i:])
		for j, v := range lanesOf(x[i:]) {
			out[j] = c[j] * (d[j] - a[j] - float32((v-m[j])*b[j]))
		}
	}
}

func inputReluPortable(dx, dy, y, x, mean, scale, meanGrad, slope []float32) {
	m, c, a, b := lanesOf(mean), lanesOf(scale), lanesOf(meanGrad), lanesOf(slope)
	for i := 0; i < len(dx); i += Block {
		out, d, keep := lanesOf(dx[i:]), lanesOf(dy[i:]), lanesOf(y[i:])
		for j, v := range lanesOf(x[i:]) {
			g := wherePositive(keep[j], d[j])
			out[j] = c[j] * (g - a[j] - float32((v-m[j])*b[j]))
		}
	}
}
