//go:build !amd64 || noasm

package kernels

// assembly says whether this build carries the assembly kernels.
const assembly = false

var peakLoops = [...]func(steps int){Portable: peakPortable, AVX2: peakPortable, AVX512: peakPortable}

// The tables of levels that this build lacks: no caller gets a Level above Portable from Detect.
var (
	avx2Vectors, avx512Vectors = portableVectors, portableVectors
	avx2Reduce, avx512Reduce   = portableReduce, portableReduce
	avx2Norm, avx512Norm       = portableNorm, portableNorm
	avx2Gemm, avx512Gemm       = portableGemm, portableGemm
	avx2Pool, avx512Pool       = portablePool, portablePool
)

var transposes = [...]func(dst []float32, ldd int, src []float32, lds, cols int){
	Portable: transpose8Portable, AVX2: transpose8Portable, AVX512: transpose8Portable,
}
