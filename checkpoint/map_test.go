//go:build linux

package checkpoint

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// large returns a file of some MiB with nested levels, a mask and a state, as it is saved, and its path.
func large(t *testing.T) (content []byte, path string) {
	t.Helper()
	w := random(t, 1, 512, 1024)
	f := &File{Info: meta(), Programs: map[string]*graph.Program{"infer": tinyProgram(t)}, State: &State{Ints: map[string]int64{"step": 7}, Tensors: map[string]array.Value{
		"momentum": array.DenseValue(random(t, 2, 256, 1024))}}}
	for name, v := range map[string]array.Value{"dense": array.DenseValue(w), "topk:0.9": topK(t, w, .9), "nm:2:4": twoOfFour(t, w)} {
		f.Levels = append(f.Levels, Level{Name: name, Tensors: map[string]array.Value{"w": v}})
	}
	path = filepath.Join(t.TempDir(), "net.cram")
	if err := Save(path, f); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content, path
}

func mapped(t testing.TB, path string) *Reader {
	t.Helper()
	r, err := OpenMapped(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestMappedReadsTheSame: every golden file has the same content through OpenMapped as through Open, and keeps it after Close; every
// attack is refused for the same reason.
func TestMappedReadsTheSame(t *testing.T) {
	golden, err := filepath.Glob("testdata/golden/*.cram")
	if err != nil || len(golden) < len(kinds(t)) {
		t.Fatalf("%d golden files: %v", len(golden), err)
	}
	attacks, err := filepath.Glob("testdata/attacks/*.cram")
	if err != nil || len(attacks) == 0 {
		t.Fatalf("%d attacks: %v", len(attacks), err)
	}
	content := func(open func(string) (*Reader, error), path string) (*File, error) {
		r, err := open(path)
		if err != nil {
			return nil, err
		}
		f, err := r.File()
		return f, errors.Join(err, r.Close())
	}
	for _, path := range slices.Concat(golden, attacks, []string{"testdata/v1.cram"}) {
		want, refused := content(Open, path)
		got, err := content(OpenMapped, path)
		if attack := slices.Contains(attacks, path); attack != (refused != nil) || attack != (err != nil) || attack && err.Error() != refused.Error() {
			t.Errorf("%s: mapped %v, opened %v", path, err, refused)
		} else if d := gocmp.Diff(want, got, equal); d != "" {
			t.Errorf("%s differs (-opened +mapped):\n%s", path, d)
		}
	}
}

// TestTruncatedWhileMapped: what needs bytes beyond the new end is an error, everything else can be read. When the content is back, so is all.
// Where the process lives on, SIGBUS was met and held.
func TestTruncatedWhileMapped(t *testing.T) {
	content, path := large(t)
	r := mapped(t, path)
	readings := mapOf(r).readings(t)
	everything := []span{{0, int64(len(content))}}
	readings["Verify"] = reading{(*Reader).Verify, everything}
	readings["File"] = reading{func(r *Reader) error { _, err := r.File(); return err }, everything}
	page := os.Getpagesize()
	for _, size := range []int{0, 1, page - 1, page, 1 << 20, len(content)/page*page - page} { // at least a whole page is gone
		if err := os.Truncate(path, int64(size)); err != nil {
			t.Fatal(err)
		}
		for name, x := range readings {
			end := int64(0)
			for _, s := range x.want {
				end = max(end, s.to)
			}
			err := x.read(r)
			if whole := end <= int64(size); (err == nil) != whole {
				t.Errorf("truncated to %d: %s needs byte %d: %v", size, name, end-1, err)
			}
			var bad *FormatError
			if gone := errors.Is(err, io.ErrUnexpectedEOF) && strings.Contains(err.Error(), "truncated while mapped"); err != nil && !gone && (name == "state" || !errors.As(err, &bad)) {
				t.Errorf("truncated to %d: %s: %v", size, name, err) // only the state is read from nothing but pages that are gone
			}
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := r.Verify(); err != nil {
			t.Errorf("truncated to %d and restored: %v", size, err)
		}
	}
}

// TestTruncatedWithinAPage: the rest of the last page reads as zeros, and the checksum refuses them.
func TestTruncatedWithinAPage(t *testing.T) {
	content, path := large(t)
	if len(content)%os.Getpagesize() < 2 {
		t.Fatalf("%d bytes end with a page", len(content))
	}
	r := mapped(t, path)
	if err := os.Truncate(path, int64(len(content)-1)); err != nil {
		t.Fatal(err)
	}
	_, err := r.State()
	var bad *FormatError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("the state without its last byte: %v", err)
	}
	last := []byte{1}
	if n, err := r.r.ReadAt(last, int64(len(content)-1)); n != 1 || err != nil || last[0] != 0 {
		t.Errorf("the last byte reads as %v, %v", last, err)
	}
}

// TestTruncatedByAnother: another process truncates the file and restores it, over and over, while goroutines read. Each gets what was saved or
// an error, and both happen.
func TestTruncatedByAnother(t *testing.T) {
	content, path := large(t)
	r := mapped(t, path)
	want, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, l := range want.Levels {
		values[l.Name] = string(l.Tensors["w"].Values)
	}
	if err := os.WriteFile(path+".whole", content, 0o666); err != nil {
		t.Fatal(err)
	}
	c := child(t, "truncate", filepath.Dir(path))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var whole, refused atomic.Int64
	deadline := time.Now().Add(5 * time.Minute)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := 0; n < 20 || whole.Load() < 10 || refused.Load() < 10; n++ {
				if time.Now().After(deadline) {
					t.Errorf("%d whole reads and %d refused ones", whole.Load(), refused.Load())
					return
				}
				name := want.Levels[n%len(want.Levels)].Name
				l, err := r.Level(name)
				switch {
				case err != nil:
					refused.Add(1)
				case string(l.Tensors["w"].Values) != values[name]:
					t.Errorf("%s is neither what was saved nor an error", name)
					return
				default:
					whole.Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d whole reads, %d refused", whole.Load(), refused.Load())
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); c.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the truncating process failed: %v", err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(); err != nil {
		t.Errorf("restored: %v", err)
	}
}

// TestSaveUnderAMapping: saving replaces the file, and the mapping keeps the old one.
func TestSaveUnderAMapping(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := Save(path, elastic(t)); err != nil {
		t.Fatal(err)
	}
	r := mapped(t, path)
	if err := Save(path, &File{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(); err != nil {
		t.Error(err)
	}
}

// TestCloseMapping: closing lets the reads in progress finish; afterwards reading and closing are errors, as with a file.
func TestCloseMapping(t *testing.T) {
	content, path := large(t)
	for range 20 {
		r := mapped(t, path)
		reading := make(chan bool, 4)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				b := make([]byte, len(content))
				for {
					_, err := r.r.ReadAt(b, 0)
					if errors.Is(err, os.ErrClosed) {
						return
					}
					if err != nil || !bytes.Equal(b, content) {
						t.Errorf("read something else: %v", err)
						return
					}
					select {
					case reading <- true:
					default:
					}
				}
			})
		}
		<-reading
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Verify(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("reading after Close: %v", err)
		}
		if err := r.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed twice: %v", err)
		}
		wg.Wait()
	}
}

// TestMappingReadAt holds the contract of io.ReaderAt at the ends.
func TestMappingReadAt(t *testing.T) {
	const path = "testdata/v1.cram"
	m, size, err := mapFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{-1, 0, 5, size - 10, size - 9, size, size + 1} {
		got, want := make([]byte, 10), make([]byte, 10)
		n, err := m.ReadAt(got, at)
		k, wantErr := f.ReadAt(want, at)
		if n != k || !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) || errors.Is(err, io.EOF) != errors.Is(wantErr, io.EOF) {
			t.Errorf("at %d: %d bytes %v, %v; a file gives %d bytes %v, %v", at, n, got, err, k, want, wantErr)
		}
	}
}

// TestIrregularFiles: what is not a regular file is refused at once and for the same reason by both doors, a pipe that nobody writes to as well.
func TestIrregularFiles(t *testing.T) {
	dir := t.TempDir()
	pipe, empty, garbage := filepath.Join(dir, "pipe"), filepath.Join(dir, "empty"), filepath.Join(dir, "garbage")
	err := errors.Join(syscall.Mkfifo(pipe, 0o666), os.WriteFile(empty, nil, 0o666), os.WriteFile(garbage, []byte("garbage garbage"), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{pipe: "not a regular file", dir: "not a regular file", empty: "not a checkpoint", garbage: "not a checkpoint", os.DevNull: "not a regular file"} {
		r, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, %v, want an error that says %q", path, r, err, says)
			continue
		}
		if _, mapped := OpenMapped(path); mapped == nil || mapped.Error() != err.Error() {
			t.Errorf("%s: OpenMapped says %v, Open %v", path, mapped, err)
		}
	}
	for _, open := range []func(string) (*Reader, error){Open, OpenMapped} {
		if _, err := open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a missing file: %v", err)
		}
	}
}

// TestGuard: only faults of mapped memory become errors, and the goroutine's setting comes back.
func TestGuard(t *testing.T) {
	if err := guard(func() {}); err != nil {
		t.Error(err)
	}
	if debug.SetPanicOnFault(false) {
		t.Error("faults are panics beyond the guard")
	}
	var none *Reader
	for name, panics := range map[string]func(){"a value": func() { panic("mine") }, "nil": func() { none.end++ }, "index": func() { _ = []int{}[len(t.Name()):][0] }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the panic is held", name)
				}
			}()
			err := guard(panics)
			t.Errorf("%s: %v", name, err)
		}()
	}
}
