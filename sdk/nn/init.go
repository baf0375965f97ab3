package nn

import (
	"math"
	"math/rand/v2"
)

// An Init fills dst, the row-major elements of a tensor of dimensions dims, with initial values. It
// takes its random numbers from r.
//
// For weights [out, in, …] fan-in is the number of inputs of an output and fan-out the number of
// outputs of an input. In a convolution both include the factor height·width of the kernel.
type Init func(r *rand.Rand, dims []int, dst []float32)

// Constant returns an Init that fills with v.
func Constant(v float64) Init {
	return func(_ *rand.Rand, _ []int, dst []float32) {
		for i := range dst {
			dst[i] = float32(v)
		}
	}
}

// Uniform returns an Init that draws from the uniform distribution over [-bound, bound).
func Uniform(bound float64) Init {
	return func(r *rand.Rand, _ []int, dst []float32) {
		for i := range dst {
			// 2u-1 is exact, so all platforms round alike
			dst[i] = float32(bound * (2*r.Float64() - 1))
		}
	}
}

// Normal returns an Init that draws from the normal distribution with mean 0 and standard deviation
// std.
func Normal(std float64) Init {
	return func(r *rand.Rand, _ []int, dst []float32) {
		for i := 0; i < len(dst); i += 2 {
			a, b := normals(r)
			dst[i] = float32(std * a)
			if i+1 < len(dst) {
				dst[i+1] = float32(std * b)
			}
		}
	}
}

// KaimingUniform is an [Init] that draws from the uniform distribution over ±1/√fan-in. It is the
// default for the weights of linear layers and convolutions, as in PyTorch.
func KaimingUniform(r *rand.Rand, dims []int, dst []float32) {
	in, _ := fans(dims)
	Uniform(1/math.Sqrt(in))(r, dims, dst)
}

// KaimingNormal is an [Init] that draws from the normal distribution with mean 0 and standard
// deviation √(2/fan-out), for layers that a ReLU follows. torchvision uses it for the convolutions
// of ResNet and VGG.
//
// Reference: https://arxiv.org/abs/1502.01852.
func KaimingNormal(r *rand.Rand, dims []int, dst []float32) {
	_, out := fans(dims)
	Normal(math.Sqrt(2/out))(r, dims, dst)
}

// fans returns fan-in and fan-out.
func fans(dims []int) (in, out float64) {
	in, out = 1, 1
	for i, n := range dims {
		if i != 0 {
			in *= float64(n)
		}
		if i != 1 {
			out *= float64(n)
		}
	}
	return in, out
}

// normals draws two independent standard normal numbers by Marsaglia's polar method. The result is
// the same on every platform: the conversions to float64 forbid fused multiply-adds, and ln
// replaces math.Log, whose last bit varies.
func normals(r *rand.Rand) (float64, float64) {
	for {
		u, v := 2*r.Float64()-1, 2*r.Float64()-1
		if s := float64(u*u) + float64(v*v); s > 0 && s < 1 {
			f := math.Sqrt(-2 * ln(s) / s)
			return u * f, v * f
		}
	}
}

// ln returns the natural logarithm of a positive normal number by the series of
// 2·artanh((m-1)/(m+1)) with |m-1|/(m+1) < 0.172. The terms from the twelfth on are below the
// rounding error.
func ln(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	z := (m - 1) / (m + 1)
	zz := float64(z * z)
	sum := 0.0
	for k := 21; k >= 1; k -= 2 {
		sum = float64(sum*zz) + 1/float64(k)
	}
	return float64(float64(e)*math.Ln2) + float64(2*z*sum)
}
