package sdk_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
)

// metered counts the bytes that are read.
type metered struct {
	bytes.Reader
	read int64
}

func (m *metered) ReadAt(b []byte, at int64) (int, error) {
	m.read += int64(len(b))
	return m.Reader.ReadAt(b, at)
}

// TestLoadSparseFrom: bytes, a file system and a zip archive, whose files have no ReadAt, serve as the path does, and
// a sparse level is read without the values of the dense one.
func TestLoadSparseFrom(t *testing.T) {
	net := sparse(t)
	b := saved(t, net)
	level := sdk.Level("topk:0.9")
	x := images(pixels(t, 5))
	want := predict(t, predictor(t, net, level), x)

	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	f, err := w.Create("net.cram")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	zipped, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil {
		t.Fatal(err)
	}
	m := &metered{Reader: *bytes.NewReader(b)}
	for name, load := range map[string]func() (*sdk.Predictor, error){
		"reader": func() (*sdk.Predictor, error) { return sdk.LoadSparseFrom(m, int64(len(b)), level) },
		"fs": func() (*sdk.Predictor, error) {
			return sdk.LoadSparseFS(fstest.MapFS{"net.cram": {Data: b}}, "net.cram", level)
		},
		"zip": func() (*sdk.Predictor, error) { return sdk.LoadSparseFS(zipped, "net.cram", level) },
	} {
		p, err := load()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := predict(t, p, x); !slices.Equal(got, want) {
			t.Errorf("%s answers otherwise", name)
		}
		p.Close()
	}

	c, err := checkpoint.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var data [2]int64 // of tensors, of the sparse level and of the dense one
	for i, name := range []string{"topk:0.9", "dense"} {
		list, err := c.Tensors(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			data[i] += x.Bytes
		}
	}
	if rest := int64(len(b)) - data[1]; m.read < data[0] || m.read > data[0]+rest { // rest: header, programs, padding
		t.Errorf("read %d bytes of %d, want %d of tensors and at most %d besides", m.read, len(b), data[0], rest)
	}

	if _, err := sdk.LoadSparseFS(fstest.MapFS{}, "net.cram"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	var bad *checkpoint.FormatError
	if _, err := sdk.LoadSparseFrom(bytes.NewReader(b[:99]), 99); !errors.As(err, &bad) {
		t.Errorf("a cut file: %v", err)
	}
}
