package nn

import (
	"math"
	"math/rand/v2"
)

// An Init fills dst, the row-major elements of a tensor with extents dims, with initial values drawn from r. For weights
// [out, in, …], fan-in is the number of inputs that one output sums over, fan-out the number of outputs that one input
// reaches (times the kernel's area, for both).
type Init func(r *rand.Rand, dims []int, dst []float32)

// Constant fills with v.
func Constant(v float64) Init {
	return func(_ *rand.Rand, _ []int, dst []float32) {
		for i := range dst {
			dst[i] = float32(v)
		}
	}
}

// Uniform draws from [-bound, bound).
func Uniform(bound float64) Init {
	return func(r *rand.Rand, _ []int, dst []float32) {
		for i := range dst {
			dst[i] = float32(bound * (2*r.Float64() - 1)) // 2u-1 is exact, so no platform rounds differently
		}
	}
}

// Normal draws from the normal distribution of mean 0 and the given standard deviation.
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

// KaimingUniform is PyTorch's default for the weights of linear layers and convolutions: uniform in ±1/√fan-in.
func KaimingUniform(r *rand.Rand, dims []int, dst []float32) {
	in, _ := fans(dims)
	Uniform(1/math.Sqrt(in))(r, dims, dst)
}

// KaimingNormal is He's initialisation for layers followed by a ReLU: normal with standard deviation √(2/fan-out), the
// form that torchvision gives the convolutions of its ResNets and VGGs.
func KaimingNormal(r *rand.Rand, dims []int, dst []float32) {
	_, out := fans(dims)
	Normal(math.Sqrt(2/out))(r, dims, dst)
}

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

// normals draws two independent standard normal numbers by Marsaglia's polar method. The conversions to float64 forbid
// fused multiply-adds, which not every platform has, and ln stands in for math.Log, whose last bit varies.
func normals(r *rand.Rand) (float64, float64) {
	for {
		u, v := 2*r.Float64()-1, 2*r.Float64()-1
		if s := float64(u*u) + float64(v*v); s > 0 && s < 1 {
			f := math.Sqrt(-2 * ln(s) / s)
			return u * f, v * f
		}
	}
}

// ln returns the natural logarithm of a positive normal number by the series of 2·artanh((m-1)/(m+1)), |m-1|/(m+1) < 0.172,
// whose eleventh term is below the rounding error.
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
