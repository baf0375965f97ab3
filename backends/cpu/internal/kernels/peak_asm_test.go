//go:build amd64 && !noasm

package kernels

var peakLoops = [...]func(steps int){Portable: peakPortable, AVX2: peakAVX2, AVX512: peakAVX512}
