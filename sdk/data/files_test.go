package data_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/data"
)

// wantFileError checks that err has the file, the offset and a remedy.
func wantFileError(t *testing.T, name string, err error, file string, offset int64) {
	t.Helper()
	var fault *data.FileError
	switch {
	case !errors.As(err, &fault):
		t.Errorf("%s: got %v, want a FileError", name, err)
	case filepath.Base(fault.File) != file || fault.Offset != offset:
		t.Errorf("%s: got file %s, offset %d; want %s, %d (%v)", name, fault.File, fault.Offset, file, offset, err)
	case fault.Remedy == "" || !strings.Contains(err.Error(), fault.Remedy) || !strings.Contains(err.Error(), file):
		t.Errorf("%s: %q does not contain the file and the remedy", name, err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

const cifarBatch = 10000 * 3073

// cifarDirectory writes a test split of black images of class 0, as sparse files.
func cifarDirectory(t *testing.T, dir string) {
	t.Helper()
	write(t, filepath.Join(dir, "batches.meta.txt"), []byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n"))
	write(t, filepath.Join(dir, "test_batch.bin"), nil)
	if err := os.Truncate(filepath.Join(dir, "test_batch.bin"), cifarBatch); err != nil {
		t.Fatal(err)
	}
}

func TestCIFAR10Files(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "cifar-10-batches-bin")
	cifarDirectory(t, dir)
	batch := filepath.Join(dir, "test_batch.bin")
	for _, place := range []string{dir, parent} {
		set, err := data.CIFAR10(place, data.Test)
		if err != nil {
			t.Fatal(err)
		}
		if set.Len() != 10000 || !slices.Equal(shape(set), []int{3, 32, 32}) {
			t.Errorf("%d examples of shape %v", set.Len(), shape(set))
		}
	}
	_, err := data.CIFAR10(parent, data.Train)
	wantFileError(t, "missing", err, "data_batch_1.bin", -1)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v does not wrap fs.ErrNotExist", err)
	}
	f, err := os.OpenFile(batch, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int64{0, 1, 3073, cifarBatch - 1, cifarBatch + 1} {
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		_, err := data.CIFAR10(parent, data.Test)
		wantFileError(t, "size", err, "test_batch.bin", min(size, cifarBatch))
	}
	if err := f.Truncate(cifarBatch); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{10}, 7*3073); err != nil {
		t.Fatal(err)
	}
	_, err = data.CIFAR10(parent, data.Test)
	wantFileError(t, "label", err, "test_batch.bin", 7*3073)
	write(t, filepath.Join(dir, "batches.meta.txt"), []byte("a\nb\n"))
	_, err = data.CIFAR10(parent, data.Test)
	wantFileError(t, "class names", err, "batches.meta.txt", 4)
}

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func idx(code byte, dims []uint32, values []byte) []byte {
	b := []byte{0, 0, code, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, values...)
}

const (
	idxImages = "t10k-images-idx3-ubyte.gz"
	idxLabels = "t10k-labels-idx1-ubyte.gz"
)

func TestMNISTFiles(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "mnist")
	images := zipped(t, idx(8, []uint32{2, 2, 3}, []byte{0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6}))
	labels := zipped(t, idx(8, []uint32{2}, []byte{9, 4}))
	reset := func() {
		write(t, filepath.Join(dir, idxImages), images)
		write(t, filepath.Join(dir, idxLabels), labels)
	}
	reset()
	for _, place := range []string{dir, parent} {
		set, err := data.MNIST(place, data.Test)
		if err != nil {
			t.Fatal(err)
		}
		x, label := read(t, set, 0)
		if want := []float32{0, .2, .4, .6, .8, 1}; !slices.Equal(shape(set), []int{1, 2, 3}) || !slices.Equal(x, want) || label != 9 {
			t.Errorf("shape %v, example 0 is %v, %d", shape(set), x, label)
		}
	}
	for _, c := range []struct {
		name, file string
		content    []byte
		offset     int64
	}{
		{"not gzip", idxImages, []byte("hello, hello, hello"), 0},
		{"empty", idxImages, nil, 0},
		{"short header", idxImages, zipped(t, []byte{0, 0, 8, 3, 0, 0}), 6},
		{"labels for images", idxImages, labels, 10},
		{"int32 values", idxImages, zipped(t, idx(12, []uint32{2, 2, 3}, make([]byte, 48))), 0},
		{"no images", idxImages, zipped(t, idx(8, []uint32{0, 2, 3}, nil)), 4},
		{"no columns", idxImages, zipped(t, idx(8, []uint32{2, 2, 0}, nil)), 12},
		{"too large", idxImages, zipped(t, idx(8, []uint32{1 << 31, 1 << 31, 1 << 31}, nil)), 4},
		{"product too large", idxImages, zipped(t, idx(8, []uint32{1 << 20, 1 << 10, 2}, nil)), 12},
		{"short", idxImages, zipped(t, idx(8, []uint32{2, 2, 3}, make([]byte, 11))), 27},
		{"long", idxImages, zipped(t, idx(8, []uint32{2, 2, 3}, make([]byte, 13))), 28},
		{"fewer labels", idxLabels, zipped(t, idx(8, []uint32{1}, []byte{9})), 4},
		{"bad label", idxLabels, zipped(t, idx(8, []uint32{2}, []byte{9, 10})), 9},
	} {
		reset()
		write(t, filepath.Join(dir, c.file), c.content)
		_, err := data.MNIST(parent, data.Test)
		wantFileError(t, c.name, err, c.file, c.offset)
	}
	for cut := range images {
		reset()
		write(t, filepath.Join(dir, idxImages), images[:cut])
		if _, err := data.MNIST(parent, data.Test); err == nil {
			t.Errorf("cut off at byte %d of %d: want an error", cut, len(images))
		}
	}
	reset()
	_, err := data.MNIST(parent, data.Train)
	wantFileError(t, "missing", err, "train-images-idx3-ubyte.gz", -1)
}

// picture returns a w×h image with a green background and a blue square in the middle, as high as
// the image.
func picture(w, h int) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	for k := range w * h {
		c := color.NRGBA{G: 255, A: 255}
		if x := k % w; x >= (w-h)/2 && x < (w+h)/2 {
			c = color.NRGBA{B: 255, A: 255}
		}
		p.SetNRGBA(k%w, k/w, c)
	}
	return p
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	encode := func(name string, p image.Image) {
		var b bytes.Buffer
		err := png.Encode(&b, p)
		if !strings.HasSuffix(name, ".png") {
			b.Reset()
			err = jpeg.Encode(&b, p, &jpeg.Options{Quality: 100})
		}
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), b.Bytes())
	}
	exact := image.NewNRGBA(image.Rect(0, 0, 2, 2))
	copy(exact.Pix, []byte{1, 2, 3, 255, 40, 50, 60, 255, 100, 110, 120, 255, 200, 210, 255, 255})
	grey := image.NewGray(image.Rect(0, 0, 2, 2))
	copy(grey.Pix, []byte{7, 8, 9, 10})
	encode("b/1.png", exact)
	encode("b/2.PNG.png", grey)
	encode("a/wide.JPG", picture(40, 20))
	encode("a/wide.png", picture(40, 20))
	write(t, filepath.Join(dir, "a", "notes.txt"), []byte("passed over"))
	write(t, filepath.Join(dir, "a", ".hidden.png"), []byte("passed over"))
	write(t, filepath.Join(dir, "stray.png"), []byte("passed over"))
	write(t, filepath.Join(dir, ".git", "x.png"), []byte("passed over"))

	set, err := data.Folder(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(set.Classes(), []string{"a", "b"}) || set.Len() != 4 || !slices.Equal(shape(set), []int{3, 2, 2}) {
		t.Fatalf("classes %v, %d examples of shape %v", set.Classes(), set.Len(), shape(set))
	}
	checkBounds(t, set)
	for i, c := range []struct {
		label     int
		want      []float32 // of 255
		tolerance float64
	}{
		{0, []float32{0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}, 4}, // JPEG rounds colours
		// the square alone: the crop is centred
		{0, []float32{0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}, 0},
		{1, []float32{1, 40, 100, 200, 2, 50, 110, 210, 3, 60, 120, 255}, 0},
		{1, []float32{7, 8, 9, 10, 7, 8, 9, 10, 7, 8, 9, 10}, 0},
	} {
		x, label := read(t, set, i)
		if label != c.label {
			t.Errorf("example %d has label %d, want %d", i, label, c.label)
		}
		for k, v := range x {
			if math.Abs(float64(v*255-c.want[k])) > c.tolerance+1e-4 {
				t.Errorf("example %d is %v, want %v of 255", i, x, c.want)
				break
			}
		}
	}
	if _, err := data.Folder(dir, 0); err == nil {
		t.Error("size 0: want an error")
	}
}

func TestFolderErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := data.Folder(filepath.Join(dir, "no"), 8)
	wantFileError(t, "missing directory", err, "no", -1)
	_, err = data.Folder(dir, 8)
	wantFileError(t, "no class", err, filepath.Base(dir), -1)
	write(t, filepath.Join(dir, "cats", "list.txt"), nil)
	_, err = data.Folder(dir, 8)
	wantFileError(t, "empty class", err, "cats", -1)

	var b bytes.Buffer
	if err := png.Encode(&b, picture(8, 8)); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(b.Bytes())
	binary.BigEndian.PutUint32(huge[16:], 1<<25) // the width
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	for name, content := range map[string][]byte{"0.png": nil, "1.png": []byte("no image"), "2.png": b.Bytes()[:b.Len()/2], "3.png": huge} {
		write(t, filepath.Join(dir, "cats", name), content)
	}
	set, err := data.Folder(dir, 8)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"0.png", "1.png", "2.png", "3.png"} {
		_, err := readInto(set, i, make([]float32, 3*8*8))
		wantFileError(t, name, err, name, -1)
		if name == "3.png" && !strings.Contains(err.Error(), "pixels") {
			t.Errorf("an image of 268 megapixels: got %v, want its size refused", err)
		}
	}
}
