package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compressaware/cram/internal/testdata"
)

// origin is a server of one file with configurable faults.
type origin struct {
	content          []byte
	ignoreRange      bool
	cut              int // bytes after which a body breaks off; 0 for never
	extra            int // bytes too many
	fail             int // number of responses with failStatus; -1: all of them
	failStatus       int
	wrongRange       bool // its response begins at another byte than requested
	hang             chan struct{}
	ranges           []string // the Range header of each request
	served, requests int
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.requests++
	o.ranges = append(o.ranges, r.Header.Get("Range"))
	if o.fail != 0 {
		o.fail--
		w.WriteHeader(o.failStatus)
		return
	}
	body, start := append(slices.Clone(o.content), make([]byte, o.extra)...), 0
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start); err == nil && !o.ignoreRange {
		if start >= len(body) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		stated := start
		if o.wrongRange {
			stated--
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", stated, len(body)-1, len(body)))
		body = body[start:]
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	if o.cut > 0 && len(body) > o.cut {
		body = body[:o.cut]
	}
	n, _ := w.Write(body)
	o.served += n
	if o.hang != nil {
		w.(http.Flusher).Flush()
		<-o.hang
	}
}

func published(name string, content []byte) publishedFile {
	sum := sha256.Sum256(content)
	return publishedFile{name, int64(len(content)), hex.EncodeToString(sum[:])}
}

// bytesOf returns n bytes that do not repeat.
func bytesOf(n int, seed uint64) []byte {
	b, r := make([]byte, n), NewRandom(seed)
	for i := range b {
		b[i] = byte(r.Uint64())
	}
	return b
}

// fetchOne fetches a set of one file from o into dir and returns the path of the file.
func fetchOne(t *testing.T, ctx context.Context, o *origin, dir string, want []byte, patience time.Duration) (path string, err error) {
	t.Helper()
	server := httptest.NewServer(o)
	defer server.Close()
	if o.hang != nil {
		defer close(o.hang)
	}
	f := fetcher{FetchOptions: FetchOptions{Client: server.Client()}, patience: patience, pause: time.Millisecond}
	d := &download{directory: "set", address: server.URL + "/", files: []publishedFile{published("file.gz", want)}}
	return filepath.Join(dir, "set", "file.gz"), f.fetch(ctx, d, dir)
}

func TestFetchFile(t *testing.T) {
	content := bytesOf(100_000, 1)
	const part = "file.gz.part"
	for _, c := range []struct {
		name    string
		origin  origin
		partial []byte   // what an earlier call left
		ranges  []string // nil where it does not matter
		served  int      // 0 where it does not matter
	}{
		{name: "fresh", ranges: []string{""}, served: 100_000},
		{name: "resumed", partial: content[:60_000], ranges: []string{"bytes=60000-"}, served: 40_000},
		{name: "complete but unchecked", partial: content, ranges: []string{}},
		{name: "range ignored", origin: origin{ignoreRange: true}, partial: content[:60_000], ranges: []string{"bytes=60000-"}, served: 100_000},
		{name: "another version's part", partial: bytesOf(60_000, 2), ranges: []string{"bytes=60000-", ""}, served: 140_000},
		{name: "a longer part", partial: bytesOf(100_001, 2), ranges: []string{""}, served: 100_000},
		{name: "bodies break off", origin: origin{cut: 30_000}, ranges: []string{"", "bytes=30000-", "bytes=60000-", "bytes=90000-"}, served: 100_000},
		{name: "many bodies break off", origin: origin{cut: 10_000}, served: 100_000},
		{name: "bodies break off, range ignored", origin: origin{cut: 99_999, ignoreRange: true}, partial: content[:100], served: -1},
		{name: "busy at first", origin: origin{fail: 3, failStatus: 503}, ranges: []string{"", "", "", ""}, served: 100_000},
		{name: "wrong range", origin: origin{wrongRange: true}, partial: content[:60_000], ranges: []string{"bytes=60000-", ""}, served: 140_000},
		{name: "range refused once", origin: origin{fail: 1, failStatus: 416}, partial: content[:60_000], ranges: []string{"bytes=60000-", ""}, served: 100_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "set"), 0o755); err != nil {
				t.Fatal(err)
			}
			if c.partial != nil {
				if err := os.WriteFile(filepath.Join(dir, "set", part), c.partial, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			o := c.origin
			o.content = content
			path, err := fetchOne(t, t.Context(), &o, dir, content, time.Minute)
			if c.served == -1 { // it never succeeds, so there is no final file
				if _, statErr := os.Stat(path); err == nil || statErr == nil {
					t.Fatalf("error %v, final file %v", err, statErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, content) {
				t.Fatalf("the file is wrong (error %v)", err)
			}
			if entries, _ := os.ReadDir(filepath.Join(dir, "set")); len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
			if c.ranges != nil && !slices.Equal(o.ranges, c.ranges) {
				t.Errorf("asked for %q, want %q", o.ranges, c.ranges)
			}
			if c.served != 0 && o.served != c.served {
				t.Errorf("%d bytes were sent, want %d", o.served, c.served)
			}
			// A second call finds everything there.
			o.requests = 0
			if _, err := fetchOne(t, t.Context(), &o, dir, content, time.Minute); err != nil || o.requests != 0 {
				t.Errorf("second call: %v, %d requests", err, o.requests)
			}
			// A damaged file is replaced.
			if err := os.WriteFile(path, content[1:], 0o644); err != nil {
				t.Fatal(err)
			}
			o.cut, o.wrongRange = 0, false
			if _, err := fetchOne(t, t.Context(), &o, dir, content, time.Minute); err != nil {
				t.Errorf("over a damaged file: %v", err)
			}
		})
	}
}

func TestFetchFails(t *testing.T) {
	content := bytesOf(10_000, 1)
	for _, c := range []struct {
		name     string
		origin   origin
		text     string
		requests int
	}{
		{"not found", origin{content: content, fail: -1, failStatus: 404}, "404", 1},
		{"always busy", origin{content: content, fail: -1, failStatus: 503}, "503", maxTries},
		{"another file", origin{content: bytesOf(10_000, 2)}, "not the published one", 1},
		{"shorter file", origin{content: content[:9_000]}, "10000", 0},
		{"longer file", origin{content: content, extra: 1}, "more than the 10000 bytes", 0},
		{"empty file", origin{}, "0 of 10000", maxTries},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := c.origin
			path, err := fetchOne(t, t.Context(), &o, t.TempDir(), content, time.Minute)
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "file.gz") {
				t.Errorf("got %v, want an error that names the file and contains %q", err, c.text)
			}
			if c.requests != 0 && o.requests != c.requests {
				t.Errorf("%d requests, want %d", o.requests, c.requests)
			}
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file has its final name (%v)", err)
			}
		})
	}
}

// TestFetchStalls uses a server that sends half the file and then nothing.
func TestFetchStalls(t *testing.T) {
	content := bytesOf(10_000, 1)
	o := &origin{content: content, cut: 5_000, hang: make(chan struct{})}
	_, err := fetchOne(t, t.Context(), o, t.TempDir(), content, 20*time.Millisecond)
	if err != nil { // each request brings its half before it stalls
		t.Errorf("a server that stalls after each half: %v", err)
	}
	o = &origin{content: content, cut: 5_000, ignoreRange: true, hang: make(chan struct{})}
	_, err = fetchOne(t, t.Context(), o, t.TempDir(), content, 20*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "no data for") {
		t.Errorf("a server that never sends the second half: got %v", err)
	}
}

// TestFetchCancelled cancels a transfer in the middle and continues it later.
func TestFetchCancelled(t *testing.T) {
	content, dir := bytesOf(10_000, 1), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := fetchOne(t, ctx, &origin{content: content, cut: 4_000, hang: make(chan struct{})}, dir, content, time.Minute)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	o := &origin{content: content}
	if _, err := fetchOne(t, t.Context(), o, dir, content, time.Minute); err != nil || o.served != 6_000 {
		t.Errorf("the next call: %v, %d bytes sent, want 6000", err, o.served)
	}
}

// entry is a member of a tar archive.
type entry struct {
	name    string
	kind    byte
	content []byte
}

func archiveOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.content)), Mode: 0o644}
		if e.kind == tar.TypeSymlink {
			h.Linkname = "/etc/passwd"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFetchArchive uses archives with a right checksum and different contents.
func TestFetchArchive(t *testing.T) {
	a, b := bytesOf(5000, 1), []byte("names")
	fit := []entry{{"set/", tar.TypeDir, nil}, {"set/a", tar.TypeReg, a}, {"set/readme.html", tar.TypeReg, b}, {"set/b", tar.TypeReg, b}}
	for _, c := range []struct {
		name    string
		content []byte
		fails   bool
	}{
		{"as published", archiveOf(t, fit...), false},
		{"names that climb", archiveOf(t, append([]entry{
			{"../evil", tar.TypeReg, b}, {"/evil", tar.TypeReg, b}, {"set/../../evil", tar.TypeReg, b}, {"set/link", tar.TypeSymlink, nil},
		}, fit...)...), false},
		{"a link for a file", archiveOf(t, entry{"set/a", tar.TypeSymlink, nil}, fit[3]), true},
		{"a file missing", archiveOf(t, fit[:3]...), true},
		{"a file changed", archiveOf(t, entry{"set/a", tar.TypeReg, bytesOf(5000, 2)}, fit[3]), true},
		{"a file too long", archiveOf(t, entry{"set/a", tar.TypeReg, append(slices.Clone(a), 0)}, fit[3]), true},
		{"an empty file", archiveOf(t, fit[1], entry{"set/b", tar.TypeReg, nil}), true},
		{"cut off", archiveOf(t, fit...)[:3000], true},
		{"no archive", []byte("hello"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(&origin{content: c.content})
			defer server.Close()
			archive := published("set.tar.gz", c.content)
			d := &download{directory: "set", address: server.URL + "/", archive: &archive, files: []publishedFile{published("a", a), {"b", 100, ""}}}
			outside := t.TempDir()
			dir := filepath.Join(outside, "deep")
			f := fetcher{FetchOptions: FetchOptions{Client: server.Client()}, patience: time.Minute, pause: time.Millisecond}
			err := f.fetch(t.Context(), d, dir)
			if (err != nil) != c.fails {
				t.Fatalf("got %v", err)
			}
			var files []string
			if err := filepath.WalkDir(outside, func(path string, e fs.DirEntry, err error) error {
				if err == nil && !e.IsDir() {
					relative, _ := filepath.Rel(dir, path)
					files = append(files, filepath.ToSlash(relative))
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			want := []string{"set/a", "set/b"}
			if c.fails {
				want = []string{"set.tar.gz.part"}
			}
			if !slices.Equal(files, want) {
				t.Errorf("the directory contains %v, want %v", files, want)
			}
		})
	}
}

// TestFetchPublished downloads the real MNIST from a local server by Fetch.
func TestFetchPublished(t *testing.T) {
	source := testdata.Dir(t, "mnist")
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(source, "mnist"))))
	defer server.Close()
	dir := t.TempDir()
	last := make(map[string]int64)
	options := FetchOptions{Mirror: server.URL, Progress: func(file string, done, total int64) {
		if done <= last[file] || done > total {
			t.Errorf("%s: %d of %d bytes after %d", file, done, total, last[file])
		}
		last[file] = done
	}}
	if err := Fetch(t.Context(), "mnist", dir, options); err != nil {
		t.Fatal(err)
	}
	for _, file := range mnistDownload.files {
		if last[file.name] != file.size {
			t.Errorf("%s: progress ended at %d of %d", file.name, last[file.name], file.size)
		}
	}
	set, err := MNIST(dir, Test)
	if err != nil {
		t.Fatal(err)
	}
	if set.Len() != 10000 {
		t.Errorf("%d test images", set.Len())
	}
}

// TestPublishedFiles checks the table of checksums against real copies of the files.
func TestPublishedFiles(t *testing.T) {
	for _, known := range KnownSets() {
		if known.download == nil {
			continue
		}
		dir := testdata.Dir(t, known.download.directory)
		for _, file := range known.download.files {
			path := filepath.Join(dir, known.download.directory, file.name)
			if err := file.check(path); err != nil {
				t.Error(err)
			}
			if file.sha256 != "" && fileSize(path) != file.size {
				t.Errorf("%s: %d bytes, want %d as in the table", path, fileSize(path), file.size)
			}
		}
	}
}

func TestFetchNames(t *testing.T) {
	for _, name := range []string{"", "cifar11", "shapes"} {
		if err := Fetch(t.Context(), name, t.TempDir(), FetchOptions{}); err == nil {
			t.Errorf("%q: want an error", name)
		}
	}
}
