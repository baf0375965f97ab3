//go:build amd64 && !noasm

package kernels

var (
	avx2Pool   = poolTable{max: maxWindowAVX2, maxGrad: maxGradWindowAVX2, sum: sumWindowAVX2, spread: spreadWindowAVX2}
	avx512Pool = poolTable{max: maxWindowAVX512, maxGrad: maxGradWindowAVX512, sum: sumWindowAVX512, spread: spreadWindowAVX512}
)
