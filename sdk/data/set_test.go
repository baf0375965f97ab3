package data_test

import (
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
)

// read returns example i of a set.
func read(t *testing.T, set data.Set, i int) (x []float32, label int) {
	t.Helper()
	e, err := data.ReadExample(set, i)
	if err != nil {
		t.Fatal(err)
	}
	return e.Inputs[0].F32(), int(e.Targets[0].I32()[0])
}

// shape returns the dimensions of the main input of a set.
func shape(set data.Set) []int {
	dims, _ := set.Inputs()[0].Shape.Dims()
	return dims
}

// readInto reads example i of a labelled set into x.
func readInto(set data.Set, i int, x []float32) (label int, err error) {
	in, err := array.From(x)
	if err != nil {
		return 0, err
	}
	y, err := array.New(array.I32)
	if err != nil {
		return 0, err
	}
	err = set.Read(i, data.Example{Inputs: []array.Tensor{in}, Targets: []array.Tensor{y}})
	return int(y.I32()[0]), err
}

// checkBounds checks that Read of a labelled set returns an error for an index out of range and for
// a slice of another length.
func checkBounds(t *testing.T, set data.Set) {
	t.Helper()
	x, _ := read(t, set, 0)
	if _, err := readInto(set, -1, x); err == nil {
		t.Error("example -1: no error")
	}
	if _, err := readInto(set, set.Len(), x); err == nil {
		t.Error("example past the end: no error")
	}
	if _, err := readInto(set, 0, x[1:]); err == nil {
		t.Error("a slice that is too short: no error")
	}
	if _, err := readInto(set, 0, append(x, 0)); err == nil {
		t.Error("a slice that is too long: no error")
	}
}

func TestFromSlices(t *testing.T) {
	set, err := data.FromSlices([]int{3}, []float32{1, 2, 3, 4, 5, 6}, []int{1, 0}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if x, label := read(t, set, 1); !slices.Equal(x, []float32{4, 5, 6}) || label != 0 {
		t.Errorf("example 1 is %v, %d", x, label)
	}
	checkBounds(t, set)
	for _, c := range []struct {
		name    string
		shape   []int
		values  int
		labels  []int
		classes []string
	}{
		{"no labels", []int{3}, 0, nil, nil},
		{"empty shape dimension", []int{3, 0}, 0, []int{0}, nil},
		{"too few values", []int{3}, 5, []int{0, 0}, nil},
		{"too many values", []int{3}, 9, []int{0, 0}, nil},
		{"negative label", []int{3}, 6, []int{0, -1}, nil},
		{"label without a name", []int{3}, 6, []int{0, 2}, []string{"a", "b"}},
	} {
		if _, err := data.FromSlices(c.shape, make([]float32, c.values), c.labels, c.classes); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

func TestFromTensor(t *testing.T) {
	x := tensor.New(tensor.WithShape(3, 2), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	if err := x.T(); err != nil { // now two examples of three values
		t.Fatal(err)
	}
	set, err := data.FromTensor(x, []int{7, 8})
	if err != nil {
		t.Fatal(err)
	}
	if x, label := read(t, set, 1); !slices.Equal(x, []float32{2, 4, 6}) || label != 8 {
		t.Errorf("example 1 is %v, %d; want [2 4 6], 8", x, label)
	}
	for name, x := range map[string]*tensor.Dense{
		"nil":     nil,
		"float64": tensor.New(tensor.WithShape(2, 3), tensor.Of(tensor.Float64)),
		"vector":  tensor.New(tensor.WithShape(2), tensor.Of(tensor.Float32)),
		"three":   tensor.New(tensor.WithShape(3, 2), tensor.Of(tensor.Float32)),
	} {
		if _, err := data.FromTensor(x, []int{7, 8}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSubset(t *testing.T) {
	set, err := data.Subset(labeled(t, numbered{n: 10}), []int{7, 0, 7})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{7, 0, 7} {
		if _, label := read(t, set, i); label != want {
			t.Errorf("example %d is %d, want %d", i, label, want)
		}
	}
	if _, err := readInto(set, 3, make([]float32, 4)); err == nil || set.Len() != 3 {
		t.Errorf("length %d, error past the end %v", set.Len(), err)
	}
	for _, indices := range [][]int{nil, {10}, {-1}} {
		if _, err := data.Subset(labeled(t, numbered{n: 10}), indices); err == nil {
			t.Errorf("indices %v of 10: no error", indices)
		}
	}
	if _, err := data.Subset(nil, []int{0}); err == nil {
		t.Error("subset of nil: no error")
	}
}

func TestSample(t *testing.T) {
	draw := func(n int, seed uint64) []int {
		set, err := data.Sample(labeled(t, numbered{n: 100}), n, seed)
		if err != nil {
			t.Fatal(err)
		}
		var all []int
		for i := range set.Len() {
			_, label := read(t, set, i)
			all = append(all, label)
		}
		return all
	}
	a := draw(30, 1)
	if len(a) != 30 || !slices.Equal(a, draw(30, 1)) || slices.Equal(a, draw(30, 2)) {
		t.Error("the sample is not a function of the seed")
	}
	slices.Sort(a)
	if len(slices.Compact(a)) != 30 {
		t.Error("the sample repeats an example")
	}
	for _, n := range []int{0, -1, 101} {
		if _, err := data.Sample(labeled(t, numbered{n: 100}), n, 1); err == nil {
			t.Errorf("sample of %d from 100: no error", n)
		}
	}
	if _, err := data.Sample(nil, 1, 1); err == nil {
		t.Error("sample of nil: no error")
	}
}

func TestSplit(t *testing.T) {
	if data.Train.String() != "train" || data.Test.String() != "test" || data.Split(7).String() != "Split(7)" {
		t.Error("names of the splits")
	}
	for _, known := range data.KnownSets() {
		if _, err := known.Open(t.TempDir(), data.Split(7)); err == nil {
			t.Errorf("%s: Split(7): no error", known.Name)
		}
	}
}
