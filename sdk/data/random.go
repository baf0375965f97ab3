package data

import "math/bits"

// Random is a stream of pseudo-random numbers that depends only on its key. It is the generator
// SplitMix64, started at a hash of the key.
//
// The key of each random choice consists of a seed and a position, for example epoch and index. So
// a training resumes without stored generator state, and no choice depends on the number of earlier
// ones. The numbers are the same on every platform and in every version of this module.
//
// A Random is not for cryptography and not safe for concurrent use.
//
// Reference: https://doi.org/10.1145/2660193.2660195.
type Random struct{ state uint64 }

// NewRandom returns the stream of a key. Different keys have unrelated streams, also if one is a
// prefix of the other.
func NewRandom(key ...uint64) *Random {
	r := &Random{state: uint64(len(key))}
	for _, word := range key {
		r.state = mix(r.state+golden) ^ word
	}
	r.state = mix(r.state + golden)
	return r
}

// golden is the increment of SplitMix64: the odd number next to 2⁶⁴ divided by the golden ratio.
const golden = 0x9e3779b97f4a7c15

// mix is the output function of SplitMix64, a bijection in which every bit of the input affects
// every bit of the output.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Uint64 returns the next 64 bits.
func (r *Random) Uint64() uint64 {
	r.state += golden
	return mix(r.state)
}

// IntN returns a number in [0, n), or 0 if n < 1. It is the high half of the product of n and 64
// random bits; the bias is at most n/2⁶⁴.
func (r *Random) IntN(n int) int {
	if n < 1 {
		return 0
	}
	high, _ := bits.Mul64(r.Uint64(), uint64(n))
	return int(high)
}

// Float32 returns a number in [0, 1), a multiple of 2⁻²⁴.
func (r *Random) Float32() float32 { return float32(r.Uint64()>>40) / (1 << 24) }

// Perm returns a permutation of [0, n) by the Fisher–Yates shuffle.
func (r *Random) Perm(n int) []int {
	p := make([]int, max(n, 0))
	for i := range p {
		p[i] = i
	}
	for i := len(p) - 1; i > 0; i-- {
		j := r.IntN(i + 1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}

// The first word of a key identifies the use of the stream.
const (
	streamShuffle = iota + 1
	streamAugment
	streamSample
	streamShapes
)
