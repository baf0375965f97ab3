package kernels

import (
	"testing"
	"unsafe"
)

func TestFloatsAreAligned(t *testing.T) {
	aligned := func(x []float32) bool {
		// only read
		return len(x) == 0 || uintptr(unsafe.Pointer(unsafe.SliceData(x)))%cacheLine == 0
	}
	for n := range 70 {
		for range 5 {
			x := Floats(n)
			if len(x) != n || cap(x) != n || !aligned(x) {
				t.Fatalf("Floats(%d): len %d, cap %d, aligned %v", n, len(x), cap(x), aligned(x))
			}
		}
	}
	if aligned(Floats(32)[1:]) {
		t.Error("the test finds an unaligned slice aligned")
	}
}
