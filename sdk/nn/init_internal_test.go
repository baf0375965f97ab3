package nn

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLn holds that ln is within 2 units in the last place of the result, or of 1 for x near 1.
func TestLn(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		x := math.Ldexp(0.5+r.Float64()/2, -r.IntN(100))
		want := math.Log(x)
		if got := ln(x); math.Abs(got-want) > 4.5e-16*max(1, math.Abs(want)) {
			t.Fatalf("ln %g is %.17g, want %.17g", x, got, want)
		}
	}
}
