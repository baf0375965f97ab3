//go:build !amd64 || noasm

package kernels

// assembly reports whether this build contains the assembly kernels.
const assembly = false

// The tables of the instruction sets that this build lacks contain the portable kernels. Supported
// returns Portable here, and then Detect returns nothing else.
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
