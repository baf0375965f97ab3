package compress

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// The definitions, by sorting everything. They share no code with the compressors.

// ranked is one thing to rank: an element, or a block of them.
type ranked struct {
	score    float64
	elements [][2]int // tensor, index
}

// stronger orders by score, NaN first, then as given (the sort is stable).
func stronger(a, b ranked) int {
	nanA, nanB := math.IsNaN(a.score), math.IsNaN(b.score)
	switch {
	case nanA && nanB:
		return 0
	case nanA:
		return -1
	case nanB:
		return 1
	}
	return cmp.Compare(b.score, a.score)
}

// keepStrongest returns the elements of the keep strongest.
func keepStrongest(things []ranked, keep int) map[[2]int]bool {
	slices.SortStableFunc(things, stronger)
	kept := map[[2]int]bool{}
	for _, t := range things[:keep] {
		for _, e := range t.elements {
			kept[e] = true
		}
	}
	return kept
}

func at(t array.Tensor, i int) float64 {
	if t.DType == array.F64 {
		return t.F64()[i]
	}
	return float64(t.F32()[i])
}

func elementsOf(w []Weight, tensors ...int) []ranked {
	var out []ranked
	for _, t := range tensors {
		for i := range w[t].Data.Len() {
			out = append(out, ranked{math.Abs(at(w[t].Data, i)), [][2]int{{t, i}}})
		}
	}
	return out
}

func prunable(w []Weight) []int {
	var out []int
	for i := range w {
		if w[i].Role == graph.Kernel || w[i].Role == graph.Embedding {
			out = append(out, i)
		}
	}
	return out
}

func merge(into, from map[[2]int]bool) {
	for k := range from {
		into[k] = true
	}
}

// brute returns the elements that are kept and the prunable tensors that are masked.
func brute(c Compressor, w []Weight) (kept map[[2]int]bool, masked map[int]bool) {
	kept, masked = map[[2]int]bool{}, map[int]bool{}
	left := func(n int, p float64) int { return int(math.Round(float64(n) * (1 - p))) }
	switch c := c.(type) {
	case TopK:
		things := elementsOf(w, prunable(w)...)
		kept = keepStrongest(things, left(len(things), float64(c)))
		for _, t := range prunable(w) {
			masked[t] = true
		}
	case Uniform:
		for _, t := range prunable(w) {
			if !w[t].First && !w[t].Last {
				masked[t] = true
				things := elementsOf(w, t)
				merge(kept, keepStrongest(things, left(len(things), float64(c))))
			}
		}
	case NM:
		for _, t := range prunable(w) {
			d := w[t].Dims
			if len(d) < 2 || d[1]%c.M != 0 {
				continue
			}
			masked[t] = true
			groups := map[[3]int][]ranked{}
			all := elementsOf(w, t)
			inner := array.Count(d[2:])
			for i, e := range all {
				o, channel, k := i/(d[1]*inner), i/inner%d[1], i%inner
				g := [3]int{o, channel / c.M, k}
				groups[g] = append(groups[g], e)
			}
			for _, g := range groups {
				merge(kept, keepStrongest(g, c.N))
			}
		}
	case Block:
		var blocks []ranked
		for _, t := range prunable(w) {
			d := w[t].Dims
			if w[t].Role != graph.Kernel || d[0]%c.Size != 0 {
				continue
			}
			masked[t] = true
			inner := array.Count(d[1:])
			for row := range d[0] / c.Size {
				for k := range inner {
					b := ranked{}
					for j := range c.Size {
						i := (row*c.Size+j)*inner + k
						b.score += math.Abs(at(w[t].Data, i))
						b.elements = append(b.elements, [2]int{t, i})
					}
					blocks = append(blocks, b)
				}
			}
		}
		kept = keepStrongest(blocks, left(len(blocks), c.Sparsity))
	}
	return kept, masked
}

// otherNaN differs from math.NaN() in its bits, also as a float32.
var otherNaN = math.Float64frombits(0x7ffc_0000_0000_0000)

// model draws weights of random shapes. coarse values make many ties; odd ones bring NaN,
// infinities, zeros of both signs.
func model(t *testing.T, r *rand.Rand, d array.DType) []Weight {
	t.Helper()
	var w []Weight
	add := func(name string, role graph.Role, dims ...int) {
		x, err := array.New(d, dims...)
		if err != nil {
			t.Fatal(err)
		}
		style := r.IntN(3)
		for i := range x.Len() {
			v := r.NormFloat64()
			switch style {
			case 1:
				v = math.Round(2*v) / 2
			case 2:
				if r.IntN(4) == 0 {
					odd := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), -math.NaN(), otherNaN, 1e-42, 3e38}
					v = odd[r.IntN(len(odd))]
				}
			}
			if d == array.F64 {
				x.F64()[i] = v
			} else {
				x.F32()[i] = float32(v)
			}
		}
		w = append(w, Weight{Meta: Meta{Name: name, Role: role, Dims: dims}, Data: x})
	}
	n := func(limit int) int { return 1 + r.IntN(limit) }
	for i := range n(4) {
		add(fmt.Sprintf("conv%d.weight", i), graph.Kernel, n(12), n(12), n(3), n(3))
		add(fmt.Sprintf("bn%d.weight", i), graph.Norm, n(12))
	}
	add("embedding.weight", graph.Embedding, n(12), 4*n(4))
	add("fc.weight", graph.Kernel, 4*n(5), 4*n(5))
	add("fc.bias", graph.Bias, n(12))
	w[0].First, w[len(w)-2].Last = true, true
	return w
}

func TestMasksAgainstSorting(t *testing.T) {
	sparsities := []float64{0, 0.1, 0.5, 0.77, 0.9, 1}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := array.F32
		if seed%3 == 2 {
			d = array.F64
		}
		w := model(t, r, d)
		p := sparsities[r.IntN(len(sparsities))]
		m := 1 + r.IntN(5)
		for _, c := range []Compressor{TopK(p), Uniform(p), NM{1 + r.IntN(m), m}, NM{2, 4}, Block{1 + r.IntN(4), p}, Block{4, p}} {
			kept, masked := brute(c, w)
			out, err := c.Compress(context.Background(), w)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if err := Check(c, w, out); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for i, x := range w {
				if got := !out[i].Mask.None(); got != masked[i] {
					t.Fatalf("seed %d: %v: %s %v: masked is %v, want %v", seed, c, x.Name, x.Dims, got, masked[i])
				}
				if !masked[i] {
					if (out[i].Skipped != "") != x.Prunable() {
						t.Errorf("seed %d: %v: %s: Skipped is %q", seed, c, x.Name, out[i].Skipped)
					}
					continue
				}
				for k := range x.Data.Len() {
					if got, want := out[i].Mask.Bit(k), kept[[2]int{i, k}]; got != want {
						t.Fatalf("seed %d: %v: %s %v: element %d (%v): kept is %v, want %v", seed, c, x.Name, x.Dims, k, at(x.Data, k), got, want)
					}
				}
			}
		}
	}
}

// TestTopKOfManyWeights has enough weights for wide radix digits, with runs of ties at the
// threshold.
func TestTopKOfManyWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, d := range []array.DType{array.F32, array.F64} {
		var w []Weight
		for i := range 3 {
			x, err := array.New(d, 105+i, 211)
			if err != nil {
				t.Fatal(err)
			}
			for k := range x.Len() {
				v := r.NormFloat64()
				if i == 1 {
					v = math.Round(8*v) / 8
				}
				if d == array.F64 {
					x.F64()[k] = v
				} else {
					x.F32()[k] = float32(v)
				}
			}
			w = append(w, Weight{Meta: Meta{Name: fmt.Sprint(i), Role: graph.Kernel, Dims: x.Dims}, Data: x})
		}
		var denser []Compressed
		for _, c := range []TopK{0.5, 0.9, 0.99999} {
			out, err := c.Compress(context.Background(), w)
			if err != nil {
				t.Fatal(err)
			}
			kept, _ := brute(c, w)
			for i, x := range w {
				for k := range x.Data.Len() {
					if got, want := out[i].Mask.Bit(k), kept[[2]int{i, k}]; got != want {
						t.Fatalf("%v of %v: tensor %d element %d: kept is %v, want %v", c, d, i, k, got, want)
					}
					if denser != nil && out[i].Mask.Bit(k) && !denser[i].Mask.Bit(k) {
						t.Fatalf("%v of %v: tensor %d element %d is kept, but not by the level before: levels must nest", c, d, i, k)
					}
				}
			}
			denser = out
		}
	}
}

func TestTopKCountIsExact(t *testing.T) {
	x, err := array.From(make([]float32, 1000), 10, 100) // all ties
	if err != nil {
		t.Fatal(err)
	}
	w := []Weight{{Meta: Meta{Name: "w", Role: graph.Kernel, Dims: x.Dims}, Data: x}}
	for p, want := range map[float64]int{0: 1000, 0.1: 900, 0.9: 100, 0.9996: 0, 0.9994: 1, 1: 0} {
		out, err := TopK(p).Compress(context.Background(), w)
		if err != nil {
			t.Fatal(err)
		}
		for k := range 1000 {
			if got := out[0].Mask.Bit(k); got != (k < want) {
				t.Errorf("topk:%v of 1000 ties: element %d kept is %v; want the first %d", p, k, got, want)
				break
			}
		}
	}
}
