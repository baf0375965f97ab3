//go:build !amd64 || noasm

package kernels

// assembly says whether this build carries the assembly kernels.
const assembly = false

var peakLoops = [...]func(steps int){Portable: peakPortable, AVX2: peakPortable, AVX512: peakPortable}
