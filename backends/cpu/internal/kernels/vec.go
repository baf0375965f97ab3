package kernels

// vectorTable is one level's elementwise kernels. All slices of a call have the length of dst, except mask.
type vectorTable struct {
	add, sub, mul, div, max, min, reluGrad func(dst, a, b []float32)
	neg, abs, sqrt, relu                   func(dst, x []float32)
	exp, expm1, log, tanh, erf             func(dst, x []float32)
	scale, shift                           func(dst, x []float32, c float32)
	axpby                                  func(dst, x, y []float32, a, b float32)
	keep                                   func(dst, x []float32, mask []byte)
}

var vectors = [...]vectorTable{Portable: portableVectors, AVX2: avx2Vectors, AVX512: avx512Vectors}

// Add sets dst[i] = a[i] + b[i] for every element of dst. Like all elementwise kernels it reads as many elements of its sources
// as dst has, and dst may be the very same slice as a source.
func (l InstructionSet) Add(dst, a, b []float32) { vectors[l].add(dst, a[:len(dst)], b[:len(dst)]) }

// Sub sets dst[i] = a[i] - b[i].
func (l InstructionSet) Sub(dst, a, b []float32) { vectors[l].sub(dst, a[:len(dst)], b[:len(dst)]) }

// Mul sets dst[i] = a[i] * b[i].
func (l InstructionSet) Mul(dst, a, b []float32) { vectors[l].mul(dst, a[:len(dst)], b[:len(dst)]) }

// Div sets dst[i] = a[i] / b[i], following IEEE 754 for zero divisors.
func (l InstructionSet) Div(dst, a, b []float32) { vectors[l].div(dst, a[:len(dst)], b[:len(dst)]) }

// Max sets dst[i] to the larger of a[i] and b[i], to NaN if either is NaN, and to b[i] if they are equal (zeros of either sign).
func (l InstructionSet) Max(dst, a, b []float32) { vectors[l].max(dst, a[:len(dst)], b[:len(dst)]) }

// Min sets dst[i] to the smaller of a[i] and b[i], to NaN if either is NaN, and to b[i] if they are equal (zeros of either sign).
func (l InstructionSet) Min(dst, a, b []float32) { vectors[l].min(dst, a[:len(dst)], b[:len(dst)]) }

// Neg sets dst[i] = -x[i].
func (l InstructionSet) Neg(dst, x []float32) { vectors[l].neg(dst, x[:len(dst)]) }

// Abs sets dst[i] = |x[i]|.
func (l InstructionSet) Abs(dst, x []float32) { vectors[l].abs(dst, x[:len(dst)]) }

// Sqrt sets dst[i] to the correctly rounded square root of x[i], NaN for negative x[i].
func (l InstructionSet) Sqrt(dst, x []float32) { vectors[l].sqrt(dst, x[:len(dst)]) }

// Relu sets dst[i] = max(x[i], 0). NaN stays NaN, so that a diverged network is seen to have diverged.
func (l InstructionSet) Relu(dst, x []float32) { vectors[l].relu(dst, x[:len(dst)]) }

// ReluGrad sets dst[i] = dy[i] where y[i] > 0 and 0 elsewhere: the gradient of y = relu(x), from either y or x.
func (l InstructionSet) ReluGrad(dst, dy, y []float32) {
	vectors[l].reluGrad(dst, dy[:len(dst)], y[:len(dst)])
}

// Exp sets dst[i] = e^x[i], within 2 ulp. Exp and the functions that follow round differently in Portable than in the other levels, which agree with each
// other; an element's result does not depend on its place.
func (l InstructionSet) Exp(dst, x []float32) { vectors[l].exp(dst, x[:len(dst)]) }

// Expm1 sets dst[i] = e^x[i] - 1 without cancellation near zero, within 2 ulp.
func (l InstructionSet) Expm1(dst, x []float32) { vectors[l].expm1(dst, x[:len(dst)]) }

// Log sets dst[i] to the natural logarithm of x[i], within 2 ulp: -Inf at zero, NaN below.
func (l InstructionSet) Log(dst, x []float32) { vectors[l].log(dst, x[:len(dst)]) }

// Tanh sets dst[i] to the hyperbolic tangent of x[i], within 3 ulp.
func (l InstructionSet) Tanh(dst, x []float32) { vectors[l].tanh(dst, x[:len(dst)]) }

// Erf sets dst[i] to the error function of x[i], within 2 ulp.
func (l InstructionSet) Erf(dst, x []float32) { vectors[l].erf(dst, x[:len(dst)]) }

// Scale sets dst[i] = x[i] * c.
func (l InstructionSet) Scale(dst, x []float32, c float32) { vectors[l].scale(dst, x[:len(dst)], c) }

// Shift sets dst[i] = x[i] + c.
func (l InstructionSet) Shift(dst, x []float32, c float32) { vectors[l].shift(dst, x[:len(dst)], c) }

// Axpby sets dst[i] = a*x[i] + b*y[i], both products rounded before the sum.
func (l InstructionSet) Axpby(dst []float32, a float32, x []float32, b float32, y []float32) {
	vectors[l].axpby(dst, x[:len(dst)], y[:len(dst)], a, b)
}

// Keep sets dst[i] = x[i] where bit i of mask is set and 0 elsewhere. Bits are packed from the lowest: element i is bit i%8 of
// mask[i/8]. A caller that splits the work does so at multiples of eight elements.
func (l InstructionSet) Keep(dst, x []float32, mask []byte) {
	vectors[l].keep(dst, x[:len(dst)], mask[:(len(dst)+7)/8])
}

// AddRow adds the row b of cols elements to each of the rows of x: dst[i,j] = x[i,j] + b[j], both row-major without gaps.
func (l InstructionSet) AddRow(dst, x, b []float32, rows, cols int) {
	for i := range rows {
		l.Add(dst[i*cols:(i+1)*cols], x[i*cols:], b)
	}
}

// AddCol adds b[i] to every element of row i of x: dst[i,j] = x[i,j] + b[i], both row-major without gaps.
func (l InstructionSet) AddCol(dst, x, b []float32, rows, cols int) {
	for i := range rows {
		l.Shift(dst[i*cols:(i+1)*cols], x[i*cols:], b[i])
	}
}
