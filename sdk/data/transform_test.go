package data_test

import (
	"math"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk/data"
)

// ramp returns distinct nonzero values.
func ramp(c, h, w int) []float32 {
	x := make([]float32, c*h*w)
	for i := range x {
		x[i] = float32(i + 1)
	}
	return x
}

// apply runs one transform on an image of the given dimensions.
func apply(t *testing.T, tr data.Transform, in []int, src []float32, r *data.Random) []float32 {
	t.Helper()
	out, err := tr.Shape(in)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, out[0]*out[1]*out[2])
	for i := range dst {
		dst[i] = -1 // shows elements that Apply does not write
	}
	tr.Apply(dst, src, in, r)
	return dst
}

// TestRandomCrop holds that each crop is a window of the padded image, and that all positions
// occur.
func TestRandomCrop(t *testing.T) {
	for _, c := range []struct {
		crop    data.RandomCrop
		c, h, w int
	}{
		{data.RandomCrop{Padding: 4}, 3, 6, 5},
		{data.RandomCrop{Padding: 0}, 1, 4, 4},
		{data.RandomCrop{Height: 3, Width: 2}, 2, 5, 6},
		{data.RandomCrop{Padding: 1, Height: 6, Width: 7}, 2, 5, 5},
		{data.RandomCrop{Padding: 5, Height: 1, Width: 2}, 1, 2, 1}, // windows that miss the image
	} {
		in := []int{c.c, c.h, c.w}
		src := ramp(c.c, c.h, c.w)
		shape, err := c.crop.Shape(in)
		if err != nil {
			t.Fatal(err)
		}
		h, w, p := shape[1], shape[2], c.crop.Padding
		windows := make(map[[2]int][]float32)
		for top := -p; top <= c.h+p-h; top++ {
			for left := -p; left <= c.w+p-w; left++ {
				var window []float32
				for k := range c.c * h * w {
					y, x := top+k/w%h, left+k%w
					v := float32(0)
					if 0 <= y && y < c.h && 0 <= x && x < c.w {
						v = src[(k/(h*w)*c.h+y)*c.w+x]
					}
					window = append(window, v)
				}
				windows[[2]int{top, left}] = window
			}
		}
		seen := make(map[[2]int]bool)
		for i := range uint64(60 * len(windows)) {
			got := apply(t, c.crop, in, src, data.NewRandom(i))
			found := false
			for at, window := range windows {
				if slices.Equal(got, window) {
					seen[at], found = true, true
				}
			}
			if !found {
				t.Fatalf("%+v of %v: want a window of the padded image, got %v", c.crop, in, got)
			}
		}
		if len(seen) != len(windows) {
			t.Errorf("%+v of %v: %d of %d positions occur", c.crop, in, len(seen), len(windows))
		}
	}
}

func TestRandomHorizontalFlip(t *testing.T) {
	src := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} // [2,2,3]
	mirrored := []float32{3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10}
	flips := 0
	const draws = 10000
	for i := range uint64(draws) {
		switch got := apply(t, data.RandomHorizontalFlip{}, []int{2, 2, 3}, src, data.NewRandom(i)); {
		case slices.Equal(got, mirrored):
			flips++
		case !slices.Equal(got, src):
			t.Fatalf("got %v, want the image or its mirror image", got)
		}
	}
	if flips < draws/2-250 || flips > draws/2+250 { // five standard deviations
		t.Errorf("%d flips in %d draws, want about half", flips, draws)
	}
}

func TestCenterCrop(t *testing.T) {
	got := apply(t, data.CenterCrop{Height: 2, Width: 1}, []int{2, 4, 3}, ramp(2, 4, 3), nil)
	if want := []float32{5, 8, 17, 20}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNormalize(t *testing.T) {
	n := data.Normalize{Mean: []float32{.5, .25}, Std: []float32{.25, 2}}
	got := apply(t, n, []int{2, 1, 2}, []float32{0, 1, 1, .25}, nil)
	if want := []float32{-2, 2, .375, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTransformsReject(t *testing.T) {
	image, vector := []int{3, 8, 8}, []int{10}
	for _, c := range []struct {
		name string
		tr   data.Transform
		in   []int
	}{
		{"crop of a vector", data.RandomCrop{Padding: 1}, vector},
		{"negative padding", data.RandomCrop{Padding: -1}, image},
		{"negative width", data.RandomCrop{Width: -1}, image},
		{"window too large", data.RandomCrop{Padding: 1, Height: 11}, image},
		{"flip of a vector", data.RandomHorizontalFlip{}, vector},
		{"centre crop of a vector", data.CenterCrop{Height: 1, Width: 1}, vector},
		{"centre crop too large", data.CenterCrop{Height: 9, Width: 1}, image},
		{"centre crop of nothing", data.CenterCrop{}, image},
		{"mean missing", data.Normalize{Std: []float32{1, 1, 1}}, image},
		{"std too short", data.Normalize{Mean: []float32{0, 0, 0}, Std: []float32{1, 1}}, image},
		{"mean not a number", data.Normalize{Mean: []float32{0, float32(math.NaN()), 0}, Std: []float32{1, 1, 1}}, image},
		{"std infinite", data.Normalize{Mean: []float32{0, 0, 0}, Std: []float32{1, float32(math.Inf(1)), 1}}, image},
		{"std zero", data.Normalize{Mean: []float32{0, 0, 0}, Std: []float32{1, 0, 1}}, image},
	} {
		if shape, err := c.tr.Shape(c.in); err == nil {
			t.Errorf("%s: got shape %v, want an error", c.name, shape)
		}
	}
}
