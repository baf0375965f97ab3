package kernels

import "math"

// portableVectors defines the results of the elementwise kernels. A product that is an operand of a
// sum is converted to float32 explicitly: the Go specification then forbids a fused multiply-add.
var portableVectors = vectorTable{
	add:      addPortable,
	sub:      subPortable,
	mul:      mulPortable,
	div:      divPortable,
	max:      maxPortable,
	min:      minPortable,
	reluGrad: reluGradPortable,
	neg:      negPortable,
	abs:      absPortable,
	sqrt:     sqrtPortable,
	relu:     reluPortable,
	exp:      viaFloat64(math.Exp),
	expm1:    viaFloat64(math.Expm1),
	log:      viaFloat64(math.Log),
	tanh:     viaFloat64(math.Tanh),
	erf:      viaFloat64(math.Erf),
	scale:    scalePortable,
	shift:    shiftPortable,
	axpby:    axpbyPortable,
	mask:     maskPortable,
}

func addPortable(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func subPortable(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

func mulPortable(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func divPortable(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] / b[i]
	}
}

func maxPortable(dst, a, b []float32) {
	for i := range dst {
		if x, y := a[i], b[i]; x > y || x != x {
			dst[i] = x
		} else {
			dst[i] = y
		}
	}
}

func minPortable(dst, a, b []float32) {
	for i := range dst {
		if x, y := a[i], b[i]; x < y || x != x {
			dst[i] = x
		} else {
			dst[i] = y
		}
	}
}

func reluGradPortable(dst, dy, y []float32) {
	for i := range dst {
		dst[i] = wherePositive(y[i], dy[i])
	}
}

func negPortable(dst, x []float32) {
	for i := range dst {
		dst[i] = -x[i]
	}
}

func absPortable(dst, x []float32) {
	for i := range dst {
		dst[i] = math.Float32frombits(math.Float32bits(x[i]) &^ (1 << 31))
	}
}

func sqrtPortable(dst, x []float32) {
	for i := range dst {
		dst[i] = float32(math.Sqrt(float64(x[i])))
	}
}

func reluPortable(dst, x []float32) {
	for i := range dst {
		dst[i] = rectify(x[i])
	}
}

func scalePortable(dst, x []float32, c float32) {
	for i := range dst {
		dst[i] = x[i] * c
	}
}

func shiftPortable(dst, x []float32, c float32) {
	for i := range dst {
		dst[i] = x[i] + c
	}
}

func axpbyPortable(dst, x, y []float32, a, b float32) {
	for i := range dst {
		dst[i] = float32(a*x[i]) + float32(b*y[i])
	}
}

func maskPortable(dst, x []float32, mask []byte) {
	for i := range dst {
		if mask[i/8]>>(i%8)&1 != 0 {
			dst[i] = x[i]
		} else {
			dst[i] = 0
		}
	}
}

// infinity is the bits of +Inf. rectify and wherePositive compare bits, because comparisons of
// integers compile to conditional moves, and comparisons of floats to branches. Branches on the
// signs of activations are hard to predict.
const infinity = 0x7f800000

// rectify returns 0 if v < 0, and v otherwise.
func rectify(v float32) float32 {
	b := math.Float32bits(v)
	if b-(1<<31+1) < infinity {
		b = 0
	}
	return math.Float32frombits(b)
}

// wherePositive returns g if v > 0, and 0 otherwise.
func wherePositive(v, g float32) float32 {
	b := math.Float32bits(g)
	if math.Float32bits(v)-1 >= infinity {
		b = 0
	}
	return math.Float32frombits(b)
}

// viaFloat64 returns a kernel that applies f to each element in float64 and rounds the result to
// float32.
func viaFloat64(f func(float64) float64) func(dst, x []float32) {
	return func(dst, x []float32) {
		for i := range dst {
			dst[i] = float32(f(float64(x[i])))
		}
	}
}
