//go:build !linux

package kernels

import "testing"

func guarded(t *testing.T, n int, end bool) []float32 {
	t.Skip("guard pages are set up with mmap and mprotect, on Linux only")
	return nil
}

func guardedBytes(t *testing.T, n int, end bool) []byte {
	t.Skip("guard pages are set up with mmap and mprotect, on Linux only")
	return nil
}
