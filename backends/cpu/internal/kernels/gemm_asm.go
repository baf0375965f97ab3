//go:build amd64 && !noasm

package kernels

var (
	avx2Gemm   = gemmTable{tileRows: 6, tileCols: 16, dotRows: 2, tile: tileAVX2, dots: dotsAVX2, copyRows: copyRowsAVX2}
	avx512Gemm = gemmTable{tileRows: 14, tileCols: 32, dotRows: 4, tile: tileAVX512, dots: dotsAVX512, copyRows: copyRowsAVX512}
)

// transposes has one assembly kernel: a 256-bit register contains two 4×4 tiles, and wider
// registers only need more shuffles.
var transposes = [...]func(dst []float32, ldd int, src []float32, lds, cols int){Portable: transpose8Portable, AVX2: transpose8, AVX512: transpose8}
