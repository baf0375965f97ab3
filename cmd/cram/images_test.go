package main

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compressaware/cram/internal/testdata"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
)

// imageSet is a batch of images, with their labels and the flags that tune batch-norm statistics on
// images of the same kind.
type imageSet struct {
	x      array.Tensor // [N 3 H W], from 0 to 1
	labels [][]int      // the right labels of each image; nil for drawn images
	tune   []string
}

// images returns the first 64 test images of CIFAR-10 if side is 32, and five photographs for other
// sides. Without the real data it returns five drawn images.
func images(t *testing.T, side int) imageSet {
	t.Helper()
	if side == 32 {
		if from := testdata.Find(t, "cifar-10-batches-bin"); from != "" {
			return cifar(t, from)
		}
		return photographs(t, "", side)
	}
	return photographs(t, testdata.Find(t, "photos/labels.tsv"), side)
}

func cifar(t *testing.T, from string) imageSet {
	t.Helper()
	set, err := data.CIFAR10(from, data.Test)
	if err != nil {
		t.Fatal(err)
	}
	a := imageSet{tune: []string{"--data", "cifar10", "--data-dir", from, "--batch", "16", "--batches", "40"}}
	for _, label := range a.read(t, set, 64) {
		a.labels = append(a.labels, []int{label})
	}
	return a
}

// photographs returns the images in directory from, or drawn images if from is empty.
func photographs(t *testing.T, from string, side int) imageSet {
	t.Helper()
	dir := t.TempDir()
	a := imageSet{tune: []string{"--data", "folder:" + dir, "--image-size", strconv.Itoa(side), "--batch", "5", "--batches", "10"}}
	class := filepath.Join(dir, "train", "all")
	if from == "" {
		draw(t, class, 5)
	} else {
		if err := os.CopyFS(class, os.DirFS(filepath.Join(from, "photos"))); err != nil {
			t.Fatal(err)
		}
		for _, p := range photos(t, from) {
			a.labels = append(a.labels, p.labels)
		}
	}
	set, err := data.Folder(filepath.Dir(class), side)
	if err != nil {
		t.Fatal(err)
	}
	a.read(t, set, 5)
	return a
}

// read sets x to the first n images of a set and returns their labels.
func (a *imageSet) read(t *testing.T, set data.Set, n int) (labels []int) {
	t.Helper()
	shape, _ := set.Inputs()[0].Shape.Dims()
	x, err := array.New(array.F32, append([]int{n}, shape...)...)
	if err != nil {
		t.Fatal(err)
	}
	one := x.Len() / n
	for i := range n {
		e, err := data.ReadExample(set, i)
		if err != nil {
			t.Fatal(err)
		}
		copy(x.F32()[i*one:], e.Inputs[0].F32())
		labels = append(labels, int(e.Targets[0].I32()[0]))
	}
	a.x = x
	return labels
}

type photo struct {
	file   string
	labels []int // of ImageNet
}

// photos lists the photographs of photos/labels.tsv in the order of their names.
func photos(t *testing.T, dir string) (list []photo) {
	t.Helper()
	table, err := os.ReadFile(filepath.Join(dir, "photos", "labels.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		field := strings.Split(line, "\t")
		if field[0] == "file" {
			continue
		}
		p := photo{file: field[0]}
		for id := range strings.SplitSeq(field[1], ";") {
			label, err := strconv.Atoi(id)
			if err != nil {
				t.Fatal(err)
			}
			p.labels = append(p.labels, label)
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b photo) int { return cmp.Compare(a.file, b.file) })
	return list
}

// draw writes n images of the data set shapes as PNG.
func draw(t *testing.T, dir string, n int) {
	t.Helper()
	set, err := data.Shapes(n, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e, err := data.ReadExample(set, i)
		if err != nil {
			t.Fatal(err)
		}
		x, side := e.Inputs[0].F32(), e.Inputs[0].Dims[1]
		drawn := image.NewRGBA(image.Rect(0, 0, side, side))
		for k := range side * side {
			part := func(channel int) uint8 { return uint8(255*x[channel*side*side+k] + 0.5) }
			drawn.Set(k%side, k/side, color.RGBA{part(0), part(1), part(2), 255})
		}
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, drawn); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
