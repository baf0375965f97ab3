package sdk_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
)

// A source is a way to read one file.
type source struct {
	file string // the name of the file in errors
	load func(sdk.PredictorOptions) (*sdk.Predictor, error)
	open func() (*sdk.Network, error)
}

// sources returns all ways to read a file with the content b.
func sources(t *testing.T, b []byte) map[string]source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	f, err := w.Create("net.cram")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	zipped, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil {
		t.Fatal(err)
	}
	in := func(fsys fs.FS) source {
		return source{"net.cram",
			func(o sdk.PredictorOptions) (*sdk.Predictor, error) {
				return sdk.LoadSparseFS(t.Context(), fsys, "net.cram", o)
			},
			func() (*sdk.Network, error) { return sdk.OpenFS(fsys, "net.cram") }}
	}
	return map[string]source{
		"path": {path,
			func(o sdk.PredictorOptions) (*sdk.Predictor, error) { return sdk.LoadSparse(t.Context(), path, o) },
			func() (*sdk.Network, error) { return sdk.Open(path) }},
		"directory": in(os.DirFS(filepath.Dir(path))), "memory": in(fstest.MapFS{"net.cram": {Data: b}}), "zip archive": in(zipped),
	}
}

// TestSources holds that all sources of a file give the same network, and that all return an error
// for a damaged file. The files of a zip archive have no ReadAt.
func TestSources(t *testing.T) {
	leaksNothing(t)
	net := sparse(t)
	b := saved(t, net)
	level := sdk.PredictorOptions{Level: "topk:0.9"}
	x := images(pixels(t, 5))
	want := predict(t, predictor(t, net, level), x)
	for name, d := range sources(t, b) {
		p, err := d.load(level)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := predict(t, p, x); !slices.Equal(got, want) {
			t.Errorf("%s: other outputs", name)
		}
		p.Close()
		opened, err := d.open()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(saved(t, opened), b) {
			t.Errorf("%s: another network is opened", name)
		}
		var no *checkpoint.LevelError
		if _, err := d.load(sdk.PredictorOptions{}); !errors.As(err, &no) {
			t.Errorf("%s: no level: %v", name, err)
		} else {
			wantError(t, err, "sdk: LoadSparse", d.file, "dense, topk:0.9")
		}
	}
	for name, d := range sources(t, b[:len(b)-9]) {
		var bad *checkpoint.FormatError
		if _, err := d.load(level); !errors.As(err, &bad) {
			t.Errorf("%s: loading a cut file: %v", name, err)
		} else {
			wantError(t, err, "sdk: LoadSparse", d.file)
		}
		if _, err := d.open(); !errors.As(err, &bad) {
			t.Errorf("%s: opening a cut file: %v", name, err)
		} else {
			wantError(t, err, "sdk: Open", d.file)
		}
	}
	if _, err := sdk.LoadSparseFS(t.Context(), fstest.MapFS{}, "net.cram", sdk.PredictorOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	_, err := sdk.LoadSparseFS(t.Context(), nil, "net.cram", sdk.PredictorOptions{})
	wantError(t, err, "LoadSparseFS", "nil")
}

// A recorder records the offsets and lengths of all reads.
type recorder struct {
	bytes.Reader
	sync.Mutex
	reads [][2]int64
}

func (r *recorder) ReadAt(b []byte, at int64) (int, error) {
	r.Lock()
	r.reads = append(r.reads, [2]int64{at, int64(len(b))})
	r.Unlock()
	return r.Reader.ReadAt(b, at)
}

// recorded is a file system of one file, whose reads are recorded.
type recorded struct {
	*recorder
	size int64
}

func (r recorded) Open(string) (fs.File, error) { return r, nil }
func (r recorded) Stat() (fs.FileInfo, error)   { return r, nil }
func (r recorded) Close() error                 { return nil }
func (r recorded) Read(b []byte) (int, error)   { return 0, errors.New("not read from the start") }
func (r recorded) Name() string                 { return "net.cram" }
func (r recorded) Size() int64                  { return r.size }
func (r recorded) Mode() fs.FileMode            { return 0o444 }
func (r recorded) ModTime() time.Time           { return time.Time{} }
func (r recorded) IsDir() bool                  { return false }
func (r recorded) Sys() any                     { return nil }

// TestLoadSparseReadsALevel holds that LoadSparse reads only the header, the program infer and the
// level, and no byte twice, for each level of an elastic ResNet-20. The tests of package checkpoint
// check which bytes those are.
func TestLoadSparseReadsALevel(t *testing.T) {
	set := shapes(t, 20, 0)
	net, err := sdk.Compress(t.Context(), resNet20(t), sdk.Calibration{Set: set, Batch: 20, Batches: 1},
		compress.Identity{}, compress.TopK(.5), compress.TopK(.8), compress.TopK(.9), compress.TopK(.95), compress.NM{N: 2, M: 4})
	if err != nil {
		t.Fatal(err)
	}
	b := saved(t, net)
	if f := fileOf(t, b); f.Programs["train"] == nil || f.Programs["reset"] == nil {
		t.Fatal("the file has no program except infer: the test cannot fail")
	}
	for _, name := range net.Levels() {
		want := &recorder{Reader: *bytes.NewReader(b)}
		r, err := checkpoint.NewReader(want, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Program("infer"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Level(name); err != nil {
			t.Fatal(err)
		}
		got := &recorder{Reader: *bytes.NewReader(b)}
		p, err := sdk.LoadSparseFS(t.Context(), recorded{got, int64(len(b))}, "net.cram", sdk.PredictorOptions{Level: name, Backend: onCPU(t, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		for _, reads := range [][][2]int64{got.reads, want.reads} {
			slices.SortFunc(reads, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
		}
		if !slices.Equal(got.reads, want.reads) {
			t.Errorf("%s: read (offset, length) %v, want %v", name, got.reads, want.reads)
		}
		total, end := int64(0), int64(0)
		for _, x := range got.reads {
			if x[0] < end {
				t.Errorf("%s: bytes %d to %d are read twice", name, x[0], end)
			}
			total, end = total+x[1], x[0]+x[1]
		}
		t.Logf("%-9s %7d of %d bytes, up to %d", name, total, len(b), end)
	}
}
