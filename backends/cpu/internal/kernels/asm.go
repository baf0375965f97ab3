//go:build amd64 && !noasm

package kernels

// assembly says whether this build carries the assembly kernels.
const assembly = true

var peakLoops = [...]func(steps int){Portable: peakPortable, AVX2: peakAVX2, AVX512: peakAVX512}
