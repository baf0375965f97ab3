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

func momentsPortable(part, x []float32) {
	shift := x[:Block]
	var sum, squares [2][Block]float32
	for i := 0; i < len(x); i += Block {
		odd := i / Block % 2
		for j, v := range x[i : i+Block] {
			d := v - shift[j]
			sum[odd][j] += d
			squares[odd][j] += float32(d * d)
		}
	}
	copy(part, shift)
	for j := range Block {
		part[Block+j] = sum[0][j] + sum[1][j]
		part[2*Block+j] = squares[0][j] + squares[1][j]
	}
}

func applyPortable(y, x, mean, scale, shift []float32) {
	for i := 0; i < len(y); i += Block {
		out := y[i : i+Block]
		for j, v := range x[i : i+Block] {
			out[j] = float32((v-mean[j])*scale[j]) + shift[j]
		}
	}
}

func applyReluPortable(y, x, mean, scale, shift []float32) {
	applyPortable(y, x, mean, scale, shift)
	reluPortable(y, y)
}

func applyAddPortable(y, x, residual, mean, scale, shift []float32) {
	for i := 0; i < len(y); i += Block {
		out, r := y[i:i+Block], residual[i:i+Block]
		for j, v := range x[i : i+Block] {
			out[j] = float32((v-mean[j])*scale[j]) + shift[j] + r[j]
		}
	}
}

func applyAddReluPortable(y, x, residual, mean, scale, shift []float32) {
	applyAddPortable(y, x, residual, mean, scale, shift)
	reluPortable(y, y)
}

// gradSum is the running sums of a normalisation's gradient over a plane.
type gradSum [2][GradPart]float32

// add accounts for gradient g at lane j of pixel i/Block, whose input lies d above the mean.
func (s *gradSum) add(i, j int, g, d float32) {
	odd := i / Block % 2
	s[odd][j] += g
	s[odd][Block+j] += float32(g * d)
}

func (s *gradSum) store(part []float32) {
	for j := range s[0] {
		part[j] = s[0][j] + s[1][j]
	}
}

func gradSumsPortable(part, dy, x, mean []float32) {
	var s gradSum
	for i := 0; i < len(x); i += Block {
		for j := range Block {
			s.add(i, j, dy[i+j], x[i+j]-mean[j])
		}
	}
	s.store(part)
}

func gradMaskedPortable(part, dy, y, x, mean []float32) {
	var s gradSum
	for i := 0; i < len(x); i += Block {
		for j := range Block {
			if y[i+j] > 0 {
				s.add(i, j, dy[i+j], x[i+j]-mean[j])
			}
		}
	}
	s.store(part)
}

func gradSumsReluPortable(part, g, dy, y, x, mean []float32) {
	reluGradPortable(g, dy, y)
	gradSumsPortable(part, g, x, mean)
}

func inputPortable(dx, dy, x, mean, scale, meanGrad, slope []float32) {
	for i := 0; i < len(dx); i += Block {
		for j := range Block {
			dx[i+j] = scale[j] * (dy[i+j] - meanGrad[j] - float32((x[i+j]-mean[j])*slope[j]))
		}
	}
}

func inputReluPortable(dx, dy, y, x, mean, scale, meanGrad, slope []float32) {
	for i := 0; i < len(dx); i += Block {
		for j := range Block {
			var g float32
			if y[i+j] > 0 {
				g = dy[i+j]
			}
			dx[i+j] = scale[j] * (g - meanGrad[j] - float32((x[i+j]-mean[j])*slope[j]))
		}
	}
}
