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

// An album is images to compare answers on, what is seen on them, and the flags that tune statistics on images of their kind.
type album struct {
	x    array.Tensor // [N 3 H W], from 0 to 1
	seen [][]int      // labels that are right for each image; nil where the images are drawn
	tune []string
}

// pictures returns the first 64 test images of CIFAR-10 for a side of 32, else five photographs; where those are not to be had, five
// drawn ones.
func pictures(t *testing.T, side int) album {
	t.Helper()
	if side == 32 {
		if from := testdata.Find(t, "cifar-10-batches-bin"); from != "" {
			return cifar(t, from)
		}
		return photographs(t, "", side)
	}
	return photographs(t, testdata.Find(t, "photos/labels.tsv"), side)
}

func cifar(t *testing.T, from string) album {
	t.Helper()
	set, err := data.CIFAR10(from, data.Test)
	if err != nil {
		t.Fatal(err)
	}
	a := album{tune: []string{"--data", "cifar10", "--data-dir", from, "--batch", "16", "--batches", "40"}}
	for _, label := range a.read(t, set, 64) {
		a.seen = append(a.seen, []int{label})
	}
	return a
}

// photographs returns those in a folder, or drawn images where it is "".
func photographs(t *testing.T, from string, side int) album {
	t.Helper()
	dir := t.TempDir()
	a := album{tune: []string{"--data", "folder:" + dir, "--image-size", strconv.Itoa(side), "--batch", "5", "--batches", "10"}}
	class := filepath.Join(dir, "train", "all")
	if from == "" {
		draw(t, class, 5)
	} else {
		if err := os.CopyFS(class, os.DirFS(filepath.Join(from, "photos"))); err != nil {
			t.Fatal(err)
		}
		for _, p := range photos(t, from) {
			a.seen = append(a.seen, p.labels)
		}
	}
	set, err := data.Folder(filepath.Dir(class), side)
	if err != nil {
		t.Fatal(err)
	}
	a.read(t, set, 5)
	return a
}

// read takes the first n images of a set and returns their labels.
func (a *album) read(t *testing.T, set data.Set, n int) (labels []int) {
	t.Helper()
	x, err := array.New(array.F32, append([]int{n}, set.Shape()...)...)
	if err != nil {
		t.Fatal(err)
	}
	one := x.Len() / n
	for i := range n {
		label, err := set.Read(i, x.F32()[i*one:][:one])
		if err != nil {
			t.Fatal(err)
		}
		labels = append(labels, label)
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

// draw writes n drawn images as PNG.
func draw(t *testing.T, dir string, n int) {
	t.Helper()
	set, err := data.Shapes(n, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	side := set.Shape()[1]
	x := make([]float32, 3*side*side)
	for i := range n {
		if _, err := set.Read(i, x); err != nil {
			t.Fatal(err)
		}
		picture := image.NewRGBA(image.Rect(0, 0, side, side))
		for k := range side * side {
			part := func(channel int) uint8 { return uint8(255*x[channel*side*side+k] + 0.5) }
			picture.Set(k%side, k/side, color.RGBA{part(0), part(1), part(2), 255})
		}
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, picture); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
