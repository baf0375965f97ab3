package metric

import (
	"math"
	"testing"
)

func TestArgMax(t *testing.T) {
	for _, c := range []struct {
		row  []float32
		want int
	}{{nil, -1}, {[]float32{3}, 0}, {[]float32{1, 2, 2}, 1}, {[]float32{1, float32(math.NaN())}, -1}, {[]float32{float32(math.Inf(-1)), float32(math.Inf(-1))}, 0}} {
		if got := argMax(c.row); got != c.want {
			t.Errorf("argMax(%v) = %d, want %d", c.row, got, c.want)
		}
	}
}
