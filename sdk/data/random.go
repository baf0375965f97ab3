package data

import "math/bits"

// Random is a stream of pseudo-random numbers that is a function of its key alone: SplitMix64 (Steele, Lea and Flood,
// 2014) started at a hash of the key.
//
// Every random decision of the package is keyed by what it is about (seed, epoch, index), so that nothing random has
// to be stored to resume a training run, and no decision depends on how many were taken before it. The numbers
// are the same on every platform and in every version of this module: training runs may rely on them.
//
// It is not for cryptography. A Random is for one goroutine at a time; making one is cheap.
type Random struct{ state uint64 }

// NewRandom returns the stream of a key. Keys of different length or content give unrelated streams.
func NewRandom(key ...uint64) *Random {
	r := &Random{state: uint64(len(key))}
	for _, word := range key {
		r.state = mix(r.state+golden) ^ word
	}
	r.state = mix(r.state + golden)
	return r
}

// golden is 2⁶⁴ divided by the golden ratio, made odd: SplitMix64's increment.
const golden = 0x9e3779b97f4a7c15

// mix is SplitMix64's finaliser, a bijection in which every input bit moves every output bit.
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

// IntN returns a number in [0, n), by the high half of a 128-bit product. The bias, at most n/2⁶⁴, is below anything
// observable. It returns 0 if n < 1.
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

// Streams that share a seed are told apart by the first word of their key.
const (
	streamShuffle = iota + 1
	streamAugment
	streamSample
	streamShapes
)
