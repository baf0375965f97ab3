package backendtest_test

import (
	"testing"

	"github.com/compressaware/cram/backends/backendtest"
	"github.com/compressaware/cram/backends/reference"
)

// A package with a backend has this test, with its backend in place of the reference.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		backendtest.Run(t, reference.New(), backendtest.Options{Double: true})
	}
	// Output:
}
