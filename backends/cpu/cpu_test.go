package cpu_test

import (
	"fmt"
	"testing"

	"github.com/compressaware/cram/backends/backendtest"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/backends/cpu/kernels"
)

// levels returns the instruction sets that this processor and build offer.
func levels() []string {
	var names []string
	for l := kernels.Portable; l <= kernels.Supported(); l++ {
		names = append(names, l.String())
	}
	return names
}

func open(tb testing.TB, o cpu.Options) *cpu.Backend {
	tb.Helper()
	b, err := cpu.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

func TestConformance(t *testing.T) {
	for i, level := range levels() {
		threads := i + 1
		t.Run(fmt.Sprintf("%s/threads=%d", level, threads), func(t *testing.T) {
			backendtest.Run(t, open(t, cpu.Options{Level: level, Threads: threads}), backendtest.Options{})
		})
	}
}
