package graph

import "math/bits"

// Uniform defines the op uniform: it returns element i of a stream under key (seed, step), in [0,
// 1) with 24 bits. The generator is Philox4x32-10 (https://doi.org/10.1145/2063384.2063405): seed
// is the key of the cipher, and its counter holds step, stream (below 2¹⁶) and i/4 (below 2⁴⁸).
func Uniform(key [2]int64, stream, i int) float64 {
	seed, step, block := uint64(key[0]), uint64(key[1]), uint64(i)>>2
	words := philox(uint32(seed), uint32(seed>>32), [4]uint32{
		uint32(block), uint32(block>>32)&0xffff | uint32(stream)<<16, uint32(step), uint32(step >> 32),
	})
	return float64(words[i&3]>>8) / (1 << 24)
}

func philox(k0, k1 uint32, c [4]uint32) [4]uint32 {
	for range 10 {
		h0, l0 := bits.Mul32(0xD2511F53, c[0])
		h1, l1 := bits.Mul32(0xCD9E8D57, c[2])
		c = [4]uint32{h1 ^ c[1] ^ k0, l1, h0 ^ c[3] ^ k1, l0}
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return c
}
