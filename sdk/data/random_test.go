package data

import (
	"slices"
	"testing"
)

// TestRandomIsSplitMix64 compares the generator with the published output for seed 1234567.
func TestRandomIsSplitMix64(t *testing.T) {
	r := &Random{state: 1234567}
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if got := r.Uint64(); got != want {
			t.Errorf("output %d: got %d, want %d", i, got, want)
		}
	}
}

// TestRandomIsStable holds the first numbers. A change breaks the resume of trainings across
// versions.
func TestRandomIsStable(t *testing.T) {
	r := NewRandom(1, 2, 3)
	if got, want := r.Uint64(), uint64(0x31738bad6de94b00); got != want {
		t.Errorf("first number of key (1,2,3): got %#x, want %#x", got, want)
	}
	if got, want := NewRandom(10, 0).Perm(8), []int{7, 3, 0, 5, 1, 4, 6, 2}; !slices.Equal(got, want) {
		t.Errorf("permutation of key (10,0): got %v, want %v", got, want)
	}
}

// TestRandomKeys checks that similar keys and keys of different length have streams without common
// numbers.
func TestRandomKeys(t *testing.T) {
	seen := make(map[uint64][]uint64)
	add := func(key ...uint64) {
		r := NewRandom(key...)
		for range 4 {
			v := r.Uint64()
			if other, ok := seen[v]; ok {
				t.Fatalf("keys %v and %v share the number %#x", key, other, v)
			}
			seen[v] = key
		}
	}
	add()
	for a := range uint64(40) {
		add(a)
		for b := range uint64(40) {
			add(a, b)
			add(a, b, 0)
		}
	}
}

// TestRandomUniform requires chi-squared over 16 cells to be at most 50. A uniform source exceeds
// that with probability 1e-5. The numbers are fixed, so the result of the test never changes.
func TestRandomUniform(t *testing.T) {
	const cells, draws = 16, 16000
	chi := func(cell func(i uint64) int) float64 {
		var count [cells]float64
		for i := range uint64(draws) {
			count[cell(i)]++
		}
		sum := 0.0
		for _, c := range count {
			sum += (c - draws/cells) * (c - draws/cells) / (draws / cells)
		}
		return sum
	}
	r := NewRandom(1)
	for name, cell := range map[string]func(uint64) int{
		"IntN in sequence":            func(uint64) int { return r.IntN(cells) },
		"Float32 in sequence":         func(uint64) int { return int(r.Float32() * cells) },
		"first number, keys in a row": func(i uint64) int { return NewRandom(streamAugment, 7, 3, i).IntN(cells) },
		"first of Perm":               func(i uint64) int { return NewRandom(i).Perm(cells)[0] },
		"last of Perm":                func(i uint64) int { return NewRandom(i).Perm(cells)[cells-1] },
	} {
		if got := chi(cell); got > 50 {
			t.Errorf("%s: chi-squared %.1f over %d cells", name, got, cells)
		}
	}
}

func TestRandomEdges(t *testing.T) {
	r := NewRandom(0)
	if r.IntN(0) != 0 || r.IntN(-3) != 0 || r.IntN(1) != 0 {
		t.Error("IntN of 0, -3 and 1: want 0")
	}
	if len(r.Perm(-1)) != 0 {
		t.Error("Perm of a negative length: want an empty slice")
	}
}
