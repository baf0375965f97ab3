package kernels

import (
	"syscall"
	"testing"
	"unsafe"
)

// guarded returns n zeroed float32 values that end right before an inaccessible page (end), or
// begin right after one.
func guarded(t *testing.T, n int, end bool) []float32 {
	b := guardedBytes(t, 4*n, end)
	if n == 0 {
		return nil
	}
	// At least 4n bytes are accessible from here until the test ends. 4n and the page size are
	// multiples of 4.
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), n)
}

// guardedBytes returns n zeroed bytes that end right before an inaccessible page (end), or begin
// right after one.
func guardedBytes(t *testing.T, n int, end bool) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	inner := (n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, inner+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mmap: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(mem); err != nil {
			t.Errorf("munmap: %v", err)
		}
	})
	for _, guard := range [][]byte{mem[:page], mem[page+inner:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatalf("mprotect: %v", err)
		}
	}
	first := page
	if end {
		first = page + inner - n
	}
	return mem[first : first+n : first+n]
}
