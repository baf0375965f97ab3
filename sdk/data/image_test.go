package data_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk/data"
)

// TestImage reads a picture of 6×2 pixels with columns of one color. The result depends on the
// proportions of the shape.
func TestImage(t *testing.T) {
	p := image.NewNRGBA(image.Rect(0, 0, 6, 2))
	for x := range 6 {
		for y := range 2 {
			p.Set(x, y, color.NRGBA{uint8(10 * x), uint8(10*x + 1), uint8(10*x + 2), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "p.png")
	write(t, path, b.Bytes())
	of255 := func(values ...float32) []float32 {
		for i := range values {
			values[i] /= 255
		}
		return values
	}
	for _, c := range []struct {
		shape []int
		want  []float32
	}{
		{[]int{3, 2, 2}, of255(20, 30, 20, 30, 21, 31, 21, 31, 22, 32, 22, 32)},
		{[]int{1, 2, 2}, of255(21, 31, 21, 31)},
		{[]int{1, 2, 6}, of255(1, 11, 21, 31, 41, 51, 1, 11, 21, 31, 41, 51)},
		{[]int{1, 2, 4}, of255(11, 21, 31, 41, 11, 21, 31, 41)},
	} {
		got, err := data.Image(path, c.shape)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("shape %v: %s", c.shape, diff)
		}
		decoded, err := data.DecodeImage(bytes.NewReader(b.Bytes()), c.shape)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, decoded); diff != "" {
			t.Errorf("shape %v, decoded: %s", c.shape, diff)
		}
	}
	for _, shape := range [][]int{nil, {3, 2}, {2, 2, 2}, {3, 0, 2}, {1, 1, 1, 1}} {
		if _, err := data.Image(path, shape); err == nil {
			t.Errorf("shape %v: want an error", shape)
		}
		if _, err := data.DecodeImage(&b, shape); err == nil {
			t.Errorf("shape %v, decoded: want an error", shape)
		}
	}
	if _, err := data.DecodeImage(strings.NewReader("GIF89a"), []int{3, 2, 2}); err == nil {
		t.Error("no PNG or JPEG: want an error")
	}
	_, err := data.Image(filepath.Join(t.TempDir(), "no.png"), []int{3, 2, 2})
	wantFileError(t, "missing file", err, "no.png", -1)
}
