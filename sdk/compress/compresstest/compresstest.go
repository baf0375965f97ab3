// Package compresstest is the conformance suite of compress.Compressor: what a stranger's operator runs in its own tests.
//
//	func TestMine(t *testing.T) { compresstest.Run(t, Mine{Threshold: 0.01}, compresstest.Options{}) }
//
// The suite draws a small model's weights (convolutions, norms, an embedding, a linear layer) in many conditions: ordinary,
// tiny, full of ties, all equal, all zero, with NaN and infinities, none at all. On all of them the operator must answer for
// every weight in order, soundly (compress.Check), the same way each time, from any number of goroutines, without changing
// what it was given, and give up when its context is done. A graph form must agree with the host form bit for bit on
// backends/reference. Each requirement is one [Check], so a failure names what was broken.
package compresstest

import (
	"context"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
)

// Options adapt the suite to an operator. The zero value is right for most.
type Options struct {
	// DType is the type of the weights, F32 when zero; F64 runs the suite in double precision.
	DType array.DType
	// Weights are a case of one's own, for an operator that wants particular names or shapes. It is run beside the others.
	Weights []compress.Weight
	// Promise states what the answer for one weight must look like beyond being sound, as [Groups] and [Blocks] do.
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
			}
		})
	}
}

// A Check is one requirement of the suite. Run returns what broke it, or nil; it does not need go test, so that a program
// can check an operator, too.
type Check struct {
	Name string
	Run  func(ctx context.Context, c compress.Compressor, o Options) error
}

// Checks returns the suite, in the order in which it is best read.
func Checks() []Check {
	return []Check{
		{"name is stable and parses back", checkName},
		{"answers soundly for every weight", checkAnswers},
		{"keeps its promise", checkPromise},
		{"answers for no weights", checkEmpty},
		{"leaves its input alone", checkInput},
		{"answers the same again", checkRepeat},
		{"hands its answer over", checkOwnership},
		{"survives NaN and infinities", checkNotFinite},
		{"is safe for concurrent use", checkConcurrent},
		{"gives up when cancelled", checkCancel},
		{"graph form equals host form", checkGraph},
	}
}
