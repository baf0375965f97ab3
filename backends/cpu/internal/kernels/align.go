package kernels

import "unsafe"

// cacheLine is the alignment of all buffers of the CPU backend in bytes. With it an aligned vector
// load does not cross a cache line.
const cacheLine = 64

// Floats allocates n zeroed float32 values. The first of them has an address that is a multiple of
// 64 bytes. The capacity is n, so an append copies the values and does not write behind them.
func Floats(n int) []float32 {
	const spare = cacheLine / 4
	buf := make([]float32, n+spare)
	skip := 0
	// The conversion only reads the address, to find the first aligned element. The slice
	// expression below checks bounds, and Go does not move heap objects.
	if over := int(uintptr(unsafe.Pointer(unsafe.SliceData(buf))) % cacheLine); over != 0 {
		skip = (cacheLine - over) / 4
	}
	return buf[skip : skip+n : skip+n]
}
