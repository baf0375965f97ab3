//go:build amd64 && !noasm

package kernels

var (
	avx2Reduce   = reduceTable{sum: sumAVX2, dot: dotAVX2, largest: largestPortable}
	avx512Reduce = reduceTable{sum: sumAVX512, dot: dotAVX512, largest: largestPortable}
)
