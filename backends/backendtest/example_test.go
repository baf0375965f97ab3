package backendtest_test

import (
	"testing"

	"github.com/compressaware/cram/backends/backendtest"
	"github.com/compressaware/cram/backends/reference"
)

// The one test that a backend's package needs; with your own backend in the place of the reference.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		backendtest.Run(t, reference.New(), backendtest.Options{Double: true})
	}
	// Output:
}
