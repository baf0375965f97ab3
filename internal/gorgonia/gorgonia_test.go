package gorgonia

import (
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"
)

// ramp returns a row-major tensor whose value at (i, j, …) is its row-major offset.
func ramp(t *testing.T, dims ...int) *tensor.Dense {
	t.Helper()
	n, err := Elements(dims)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(i)
	}
	return tensor.New(tensor.WithShape(dims...), tensor.WithBacking(data))
}

// expect compares From with t.At, coordinate by coordinate.
func expect(t *testing.T, x *tensor.Dense, want ...int) {
	t.Helper()
	dims, data, err := From(x)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(dims, want) {
		t.Fatalf("dims %v, want %v", dims, want)
	}
	at := make([]int, len(dims))
	for k, got := range data {
		rest := k
		for axis := len(dims) - 1; axis >= 0; axis-- {
			at[axis], rest = rest%dims[axis], rest/dims[axis]
		}
		v, err := x.At(at...)
		if err != nil {
			t.Fatal(err)
		}
		if got != v.(float32) {
			t.Fatalf("at %v: got %v, want %v", at, got, v)
		}
	}
}

func TestFromContiguousAliases(t *testing.T) {
	x := ramp(t, 2, 3, 4)
	expect(t, x, 2, 3, 4)
	_, data, err := From(x)
	if err != nil {
		t.Fatal(err)
	}
	data[5] = 99
	if v, _ := x.At(0, 1, 1); v.(float32) != 99 {
		t.Errorf("a contiguous tensor was copied: its element (0,1,1) is %v after the alias was set to 99", v)
	}
}

func TestFromTranspose(t *testing.T) {
	x := ramp(t, 3, 4)
	if err := x.T(); err != nil {
		t.Fatal(err)
	}
	dims, data, err := From(x)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}; !slices.Equal(dims, []int{4, 3}) || !slices.Equal(data, want) {
		t.Errorf("transpose of a 3×4 ramp: got %v %v, want [4 3] %v", dims, data, want)
	}
	y := ramp(t, 2, 3, 4, 5)
	if err := y.T(2, 0, 3, 1); err != nil {
		t.Fatal(err)
	}
	expect(t, y, 4, 2, 5, 3)
}

func TestFromSlice(t *testing.T) {
	for _, c := range []struct {
		name   string
		slices []tensor.Slice
		want   []int
	}{
		{"rows", []tensor.Slice{tensor.S(1, 3), nil, nil}, []int{2, 4, 5}},
		{"columns", []tensor.Slice{nil, nil, tensor.S(1, 4)}, []int{3, 4, 3}},
		{"one row", []tensor.Slice{tensor.S(2), nil, nil}, []int{4, 5}},
		{"one column", []tensor.Slice{nil, nil, tensor.S(2)}, []int{3, 4}},
		{"line", []tensor.Slice{nil, tensor.S(1), tensor.S(2)}, []int{3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			view, err := ramp(t, 3, 4, 5).Slice(c.slices...)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, view.(*tensor.Dense), c.want...)
		})
	}
}

func TestFromSliceOfTranspose(t *testing.T) {
	x := ramp(t, 4, 6)
	if err := x.T(); err != nil {
		t.Fatal(err)
	}
	view, err := x.Slice(tensor.S(1, 5), tensor.S(0, 3))
	if err != nil {
		t.Fatal(err)
	}
	_, data, err := From(view.(*tensor.Dense))
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 16}; !slices.Equal(data, want) {
		t.Errorf("got %v, want %v", data, want)
	}
}

func TestFromColumnMajor(t *testing.T) {
	x := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}), tensor.AsFortran(nil))
	_, data, err := From(x)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{1, 3, 5, 2, 4, 6}; !slices.Equal(data, want) {
		t.Errorf("got %v, want %v", data, want)
	}
}

func TestFromRejects(t *testing.T) {
	masked := ramp(t, 2, 2)
	masked.ResetMask(true)
	for _, c := range []struct {
		name string
		x    *tensor.Dense
		want string
	}{
		{"nil", nil, "nil"},
		{"zero", new(tensor.Dense), "without a type"},
		{"float64", tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{1, 2})), "float64"},
		{"scalar", tensor.New(tensor.FromScalar(float32(1))), "scalar"},
		{"masked", masked, "mask"},
	} {
		if _, _, err := From(c.x); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one that mentions %q", c.name, err, c.want)
		}
	}
}

func TestTo(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	x, err := To([]int{2, 3}, data)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, x, 2, 3)
	for _, dims := range [][]int{nil, {}, {0}, {2, 0, 3}, {-2, -3}, {7}, {1 << 40, 1 << 40}} {
		if _, err := To(dims, data); err == nil {
			t.Errorf("dims %v over 6 values: want an error", dims)
		}
	}
	if _, err := To([]int{1}, nil); err == nil {
		t.Error("dims [1] over no values: want an error")
	}
}
