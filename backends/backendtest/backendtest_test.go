package backendtest_test

import (
	"testing"

	"github.com/compressaware/cram/backends/backendtest"
	"github.com/compressaware/cram/backends/reference"
)

func TestReference(t *testing.T) {
	backendtest.Run(t, reference.New(), backendtest.Options{Double: true})
}
