package graph

import (
	"math"
	"testing"
)

// The known answers of Random123's kat_vectors for philox4x32 with 10 rounds.
func TestPhilox(t *testing.T) {
	const ones = 0xffffffff
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{ones, ones, ones, ones}, [2]uint32{ones, ones}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(c.key[0], c.key[1], c.counter); got != c.want {
			t.Errorf("philox(%x, %x) = %08x, want %08x", c.key, c.counter, got, c.want)
		}
	}
	if got, want := Uniform([2]int64{}, 0, 1), float64(0xe169c5)/(1<<24); got != want {
		t.Errorf("element 1 is %v, want %v: the upper 24 bits of word 1", got, want)
	}
}

// Uniform draws have the moments of [0, 1), and draws under neighbouring keys, streams or positions
// are uncorrelated. With n draws the standard error of a mean is √(1/12n) and of a correlation
// 1/√n; five of them are allowed.
func TestUniformStatistics(t *testing.T) {
	const n = 100_000
	base := func(i int) float64 { return Uniform([2]int64{10, 3}, 0, i) }
	mean, square := 0.0, 0.0
	var bins [16]int
	for i := range n {
		x := base(i)
		if x < 0 || x >= 1 {
			t.Fatalf("element %d is %v", i, x)
		}
		mean += x / n
		square += (x - 0.5) * (x - 0.5) / n
		bins[int(16*x)]++
	}
	if off := math.Abs(mean-0.5) * math.Sqrt(12*n); off > 5 {
		t.Errorf("mean %v is %.1f standard errors off", mean, off)
	}
	if off := math.Abs(square-1.0/12) * math.Sqrt(180*n); off > 5 {
		t.Errorf("variance %v is %.1f standard errors off", square, off)
	}
	chi := 0.0
	for _, k := range bins {
		d := float64(k) - n/16.0
		chi += d * d / (n / 16.0)
	}
	if chi > 45 { // 15 degrees of freedom: above 45 in fewer than 1 of 10,000 seeds
		t.Errorf("χ² over 16 bins is %.1f: %v", chi, bins)
	}
	far := int64(1) << 40
	for name, other := range map[string]func(i int) float64{
		"next seed":    func(i int) float64 { return Uniform([2]int64{11, 3}, 0, i) },
		"high seed":    func(i int) float64 { return Uniform([2]int64{10 + 1<<32, 3}, 0, i) },
		"next step":    func(i int) float64 { return Uniform([2]int64{10, 4}, 0, i) },
		"high step":    func(i int) float64 { return Uniform([2]int64{10, 3 + 1<<32}, 0, i) },
		"next stream":  func(i int) float64 { return Uniform([2]int64{10, 3}, 1, i) },
		"next element": func(i int) float64 { return base(i + 1) },
		"next block":   func(i int) float64 { return base(i + 4) },
		"far away":     func(i int) float64 { return base(i + int(far)) },
	} {
		r := 0.0
		for i := range n {
			r += (base(i) - 0.5) * (other(i) - 0.5) * 12 / n
		}
		if math.Abs(r)*math.Sqrt(n) > 5 {
			t.Errorf("correlation with the %s is %v", name, r)
		}
	}
}
