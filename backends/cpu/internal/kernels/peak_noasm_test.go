//go:build !amd64 || noasm

package kernels

var peakLoops = [...]func(steps int){Portable: peakPortable, AVX2: peakPortable, AVX512: peakPortable}
