package kernels

import "testing"

func TestFloatsAreAligned(t *testing.T) {
	for n := range 70 {
		for range 5 {
			x := Floats(n)
			if len(x) != n || cap(x) != n || !Aligned(x) {
				t.Fatalf("Floats(%d): len %d, cap %d, aligned %v", n, len(x), cap(x), Aligned(x))
			}
		}
	}
	if Aligned(Floats(32)[1:]) {
		t.Error("Aligned is true one element after a line began")
	}
}
