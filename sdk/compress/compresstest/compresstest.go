// Package compresstest is the conformance suite for [compress.Compressor]. Run it in the tests of a
// compressor:
//
//	func TestMine(t *testing.T) { compresstest.Run(t, Mine{Threshold: 0.01}, compresstest.Options{}) }
//
// The suite draws the weights of a small model (convolutions, normalization, an embedding, a linear
// layer) under many conditions: ordinary values, dimensions of 1, many ties, equal values, zeros,
// NaN and infinities, and no weights. For all of them the compressor must
//   - return a valid result ([compress.Check]), with an entry for each weight in order;
//   - return the same result each time, from any number of goroutines;
//   - not change its input, nor a result that it returned;
//   - return an error when its context has ended.
//
// For a [compress.GraphCompressor] the results of Build on backends/reference must agree with those
// of Compress bit for bit. Each requirement is one [Check], so a failure names the broken
// requirement.
package compresstest

import (
	"context"
	"errors"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
)

// Options adapt the suite to a compressor. The zero value suits most compressors.
type Options struct {
	// DType is the type of the weights, array.F32 or array.F64. The zero value means F32.
	DType array.DType
	// Weights is an additional list of weights, for a compressor that requires particular names or
	// shapes. Nil adds none.
	Weights []compress.Weight
	// Promise returns an error if the result c for w breaks a property that the compressor promises
	// in addition to the contract, for example that rows are kept or dropped as a whole. Nil means
	// that there is no such property.
	Promise func(w compress.Weight, c compress.Compressed) error
}

// Run runs every check as a subtest.
func Run(t *testing.T, c compress.Compressor, o Options) {
	t.Helper()
	for _, check := range Checks() {
		t.Run(check.Name, func(t *testing.T) {
			t.Helper()
			if err := check.Run(t.Context(), c, o); err != nil {
				t.Error(err)
				if p := (*panicError)(nil); errors.As(err, &p) {
					t.Logf("%s", p.stack)
				}
			}
		})
	}
}

// A Check is one requirement of the suite.
type Check struct {
	// Name is the requirement in a few words.
	Name string
	// Run returns an error if c breaks the requirement. It does not need go test, so a program can
	// run it, too.
	Run func(ctx context.Context, c compress.Compressor, o Options) error
}

// Checks returns all requirements, the simplest first.
func Checks() []Check {
	return []Check{
		{"name is stable and parses back", checkName},
		{"returns a valid result for every weight", checkResults},
		{"keeps its promise", checkPromise},
		{"returns no result for no weights", checkEmpty},
		{"does not change its input", checkInput},
		{"returns the same result again", checkRepeat},
		{"does not change a returned result", checkOwnership},
		{"accepts or refuses NaN and infinities", checkNotFinite},
		{"is safe for concurrent use", checkConcurrent},
		{"stops when its context is canceled", checkCancel},
		{"Build agrees with Compress", checkGraph},
	}
}
