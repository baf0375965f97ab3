package backendtest_test

import (
	"testing"

	"github.com/compressaware/cram/backends/backendtest"
	"github.com/compressaware/cram/backends/reference"
)

// The test of a package with a backend. A package of yours has its own backend in place of the
// reference.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		backendtest.Run(t, reference.New(), backendtest.Options{Double: true})
	}
	// Output:
}
