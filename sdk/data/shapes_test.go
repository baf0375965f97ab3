package data_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/compressaware/cram/sdk/data"
)

// TestShapesAreStable holds the pixels of the first images, which are the same on all platforms and
// in all versions.
func TestShapesAreStable(t *testing.T) {
	const want = "657c59de637e70b4380d28f4e86cdeac137edf97ecedc97650f230bdcb221775"
	set, err := data.Shapes(200, 0)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	for i := range set.Len() {
		x, _ := read(t, set, i)
		for _, v := range x {
			hash.Write([]byte{byte(v*255 + .5)})
		}
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		t.Errorf("200 images of seed 0 hash to %s, want %s", got, want)
	}
}

func TestShapes(t *testing.T) {
	set, err := data.Shapes(1000, 5)
	if err != nil {
		t.Fatal(err)
	}
	checkBounds(t, set)
	count, mean, squares := classesAndMoments(t, set)
	for label, n := range count {
		if n != 100 {
			t.Errorf("class %d has %d of 1000 images, want 100", label, n)
		}
	}
	known, err := data.Lookup("shapes")
	if err != nil {
		t.Fatal(err)
	}
	for channel := range mean {
		// 1000 images: the mean of a channel varies by about 0.1/√1000 with the seed.
		std := math.Sqrt(squares[channel] - mean[channel]*mean[channel])
		if math.Abs(mean[channel]-float64(known.Normalize.Mean[channel])) > .015 || math.Abs(std-float64(known.Normalize.Std[channel])) > .015 {
			t.Errorf("channel %d: mean %.3f, std %.3f; Normalize has %v, %v", channel, mean[channel], std, known.Normalize.Mean[channel], known.Normalize.Std[channel])
		}
	}
	again, err := data.Shapes(10, 5)
	if err != nil {
		t.Fatal(err)
	}
	other, err := data.Shapes(10, 6)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := read(t, set, 3)
	b, _ := read(t, again, 3)
	c, _ := read(t, other, 3)
	d, _ := read(t, set, 13)
	if !slices.Equal(a, b) {
		t.Error("an image depends on the length of its set")
	}
	if slices.Equal(a, c) || slices.Equal(a, d) {
		t.Error("two images are the same")
	}
	for _, n := range []int{0, -1} {
		if _, err := data.Shapes(n, 0); err == nil {
			t.Errorf("Shapes of %d images: want an error", n)
		}
	}
}

func TestShapesReadConcurrently(t *testing.T) {
	set, err := data.Shapes(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := make([][]float32, set.Len())
	for i := range want {
		want[i], _ = read(t, set, i)
	}
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			x := make([]float32, 3*24*24)
			for i := range want {
				if _, err := readInto(set, i, x); err != nil || !slices.Equal(x, want[i]) {
					t.Errorf("image %d differs when read concurrently (error %v)", i, err)
				}
			}
		})
	}
	running.Wait()
}
