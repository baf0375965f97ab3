package kernels

// vectorTable contains the elementwise kernels of one instruction set. All slices of a call have
// the length of dst, except mask.
type vectorTable struct {
	add, sub, mul, div, max, min, reluGrad func(dst, a, b []float32)
	neg, abs, sqrt, relu                   func(dst, x []float32)
	exp, expm1, log, tanh, erf             func(dst, x []float32)
	scale, shift                           func(dst, x []float32, c float32)
	axpby                                  func(dst, x, y []float32, a, b float32)
	mask                                   func(dst, x []float32, mask []byte)
}

var vectors = [...]vectorTable{Portable: portableVectors, AVX2: avx2Vectors, AVX512: avx512Vectors}

// The elementwise kernels below set dst[i] for 0 ≤ i < len(dst). They read len(dst) elements of
// each source, which may be longer. dst may be the same slice as a source.

// Add sets dst[i] = a[i] + b[i].
func (isa InstructionSet) Add(dst, a, b []float32) { vectors[isa].add(dst, a[:len(dst)], b[:len(dst)]) }

// Sub sets dst[i] = a[i] - b[i].
func (isa InstructionSet) Sub(dst, a, b []float32) { vectors[isa].sub(dst, a[:len(dst)], b[:len(dst)]) }

// Mul sets dst[i] = a[i] * b[i].
func (isa InstructionSet) Mul(dst, a, b []float32) { vectors[isa].mul(dst, a[:len(dst)], b[:len(dst)]) }

// Div sets dst[i] = a[i] / b[i]. A division by zero gives the result of IEEE 754.
func (isa InstructionSet) Div(dst, a, b []float32) { vectors[isa].div(dst, a[:len(dst)], b[:len(dst)]) }

// Max sets dst[i] to the larger of a[i] and b[i], to NaN if either is NaN, and to b[i] if they are
// equal. Zeros of either sign are equal.
func (isa InstructionSet) Max(dst, a, b []float32) { vectors[isa].max(dst, a[:len(dst)], b[:len(dst)]) }

// Min sets dst[i] to the smaller of a[i] and b[i], to NaN if either is NaN, and to b[i] if they are
// equal. Zeros of either sign are equal.
func (isa InstructionSet) Min(dst, a, b []float32) { vectors[isa].min(dst, a[:len(dst)], b[:len(dst)]) }

// Neg sets dst[i] = -x[i].
func (isa InstructionSet) Neg(dst, x []float32) { vectors[isa].neg(dst, x[:len(dst)]) }

// Abs sets dst[i] = |x[i]|.
func (isa InstructionSet) Abs(dst, x []float32) { vectors[isa].abs(dst, x[:len(dst)]) }

// Sqrt sets dst[i] to the correctly rounded square root of x[i], NaN for negative x[i].
func (isa InstructionSet) Sqrt(dst, x []float32) { vectors[isa].sqrt(dst, x[:len(dst)]) }

// Relu sets dst[i] = max(x[i], 0), and NaN where x[i] is NaN, so the divergence of a training
// remains visible in its loss.
func (isa InstructionSet) Relu(dst, x []float32) { vectors[isa].relu(dst, x[:len(dst)]) }

// ReluGrad sets dst[i] = dy[i] where y[i] > 0 and 0 elsewhere: the gradient of y = relu(x). x can
// be passed in place of y, with the same result.
func (isa InstructionSet) ReluGrad(dst, dy, y []float32) {
	vectors[isa].reluGrad(dst, dy[:len(dst)], y[:len(dst)])
}

// Exp sets dst[i] = e^x[i], within 2 ulp.
//
// Exp, Expm1, Log, Tanh and Erf give the same bits with AVX2 and AVX512, and may give others with
// Portable. The result of an element does not depend on its index.
func (isa InstructionSet) Exp(dst, x []float32) { vectors[isa].exp(dst, x[:len(dst)]) }

// Expm1 sets dst[i] = e^x[i] - 1, without cancellation near zero, within 2 ulp.
func (isa InstructionSet) Expm1(dst, x []float32) { vectors[isa].expm1(dst, x[:len(dst)]) }

// Log sets dst[i] to the natural logarithm of x[i], within 2 ulp: -Inf at zero, NaN below.
func (isa InstructionSet) Log(dst, x []float32) { vectors[isa].log(dst, x[:len(dst)]) }

// Tanh sets dst[i] to the hyperbolic tangent of x[i], within 3 ulp.
func (isa InstructionSet) Tanh(dst, x []float32) { vectors[isa].tanh(dst, x[:len(dst)]) }

// Erf sets dst[i] to the error function of x[i], within 2 ulp.
func (isa InstructionSet) Erf(dst, x []float32) { vectors[isa].erf(dst, x[:len(dst)]) }

// Scale sets dst[i] = x[i] * c.
func (isa InstructionSet) Scale(dst, x []float32, c float32) {
	vectors[isa].scale(dst, x[:len(dst)], c)
}

// Shift sets dst[i] = x[i] + c.
func (isa InstructionSet) Shift(dst, x []float32, c float32) {
	vectors[isa].shift(dst, x[:len(dst)], c)
}

// Axpby sets dst[i] = a·x[i] + b·y[i]. Both products are rounded before the addition.
func (isa InstructionSet) Axpby(dst []float32, a float32, x []float32, b float32, y []float32) {
	vectors[isa].axpby(dst, x[:len(dst)], y[:len(dst)], a, b)
}

// Mask sets dst[i] = x[i] where bit i of mask is 1, and 0 elsewhere. Bit i is bit i%8 of mask[i/8],
// where bit 0 has the value 1. A caller that splits the work splits it at multiples of eight
// elements.
func (isa InstructionSet) Mask(dst, x []float32, mask []byte) {
	vectors[isa].mask(dst, x[:len(dst)], mask[:(len(dst)+7)/8])
}
