package kernels

import "unsafe"

// cacheLine is the size in bytes that every buffer of the CPU backend is aligned to: a vector load never crosses a line.
const cacheLine = 64

// Floats allocates n zeroed float32 values that begin at a multiple of 64 bytes. The capacity is n as well, so that an append cannot
// silently write behind the buffer.
func Floats(n int) []float32 {
	const spare = cacheLine / 4
	buf := make([]float32, n+spare)
	skip := 0
	// The address is only read, to find the first aligned element; the slice itself is cut with bounds checks, and Go's
	// heap does not move.
	if over := int(uintptr(unsafe.Pointer(unsafe.SliceData(buf))) % cacheLine); over != 0 {
		skip = (cacheLine - over) / 4
	}
	return buf[skip : skip+n : skip+n]
}

// Aligned reports whether x begins at a multiple of 64 bytes. An empty slice is aligned.
func Aligned(x []float32) bool {
	// Only the address is read.
	return len(x) == 0 || uintptr(unsafe.Pointer(unsafe.SliceData(x)))%cacheLine == 0
}
