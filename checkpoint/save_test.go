package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

var errDisk = errors.New("the disk says no")

// failing is a disk whose n-th call, counted from 1, fails with err; if dead, all later calls fail
// too. A write that fails writes half.
type failing struct {
	osDisk
	n, calls int
	err      error
	dead     bool
	failed   string // the first call that failed
}

func (d *failing) fails(call string) bool {
	d.calls++
	if d.calls == d.n {
		d.failed = call
	}
	return d.calls == d.n || d.dead && d.calls > d.n
}

func (d *failing) create(path string) (file, error) {
	if d.fails("create") {
		return nil, d.err
	}
	f, err := d.osDisk.create(path)
	return &failingFile{f, d}, err
}

func (d *failing) rename(from, to string) error {
	if d.fails("rename") {
		return d.err
	}
	return d.osDisk.rename(from, to)
}

func (d *failing) remove(path string) error {
	if d.fails("remove") {
		return d.err
	}
	return d.osDisk.remove(path)
}

func (d *failing) syncDir(dir string) error {
	if d.fails("syncDir") {
		return d.err
	}
	return d.osDisk.syncDir(dir)
}

type failingFile struct {
	file
	d *failing
}

func (f *failingFile) Write(b []byte) (int, error) {
	if f.d.fails("write") {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, f.d.err
	}
	return f.file.Write(b)
}

func (f *failingFile) Sync() error {
	if f.d.fails("sync") {
		return f.d.err
	}
	return f.file.Sync()
}

func (f *failingFile) Close() error {
	err := f.file.Close()
	if f.d.fails("close") {
		return f.d.err
	}
	return err
}

// TestSaveWithAFailingDisk fails the first call, then the second, until a run completes. After
// each, the old or the new file is complete, the error is reported, and no temporary file is left,
// except by a process that dies.
func TestSaveWithAFailingDisk(t *testing.T) {
	for name, disk := range map[string]failing{
		"one call":           {err: errDisk},
		"disk full":          {err: syscall.ENOSPC},
		"all calls from one": {err: errDisk, dead: true}, // as if the process were killed there
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "net.cram")
			if err := Save(path, numbered(t, 0)); err != nil {
				t.Fatal(err)
			}
			var failed []string
			for n, old := 1, uint64(0); ; n++ {
				d := disk
				d.n = n
				err := save(&d, path, numbered(t, uint64(n)))
				if (err != nil) != (d.failed != "") || err != nil && !errors.Is(err, d.err) {
					t.Fatalf("%s failed as call %d, the error is %v", d.failed, n, err)
				}
				want := old
				if d.failed == "" || d.failed == "syncDir" {
					want = uint64(n)
				}
				if got := numberOf(t, path); got != want {
					t.Errorf("after %s failed: the file of save %d, want %d", d.failed, got, want)
				}
				old = want
				if d.dead {
					sweep(path)
				}
				if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
					t.Errorf("after %s failed: the directory holds %v", d.failed, left)
				}
				if d.failed == "" {
					break
				}
				failed = append(failed, d.failed)
			}
			for _, call := range []string{"create", "write", "sync", "close", "rename", "syncDir"} {
				if !slices.Contains(failed, call) {
					t.Errorf("%s never failed: %v", call, failed)
				}
			}
		})
	}
}

// numbered returns a file with its number in two fields: its seed and its tensor.
func numbered(t testing.TB, number uint64) *File {
	return &File{Info: Info{Seed: number}, Levels: []Level{{Name: "dense", Tensors: map[string]array.Value{
		"w": array.DenseValue(random(t, uint32(number), 100_000))}}}}
}

// numberOf loads a numbered file in full and returns its number.
func numberOf(t testing.TB, path string) uint64 {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(f.Levels[0].Tensors["w"].Values, numbered(t, f.Info.Seed).Levels[0].Tensors["w"].Values) {
		t.Fatalf("%s says it is save %d and holds another", path, f.Info.Seed)
	}
	return f.Info.Seed
}

func TestSaveKeepsTheOldFileWhenContentIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := Save(path, elastic(t)); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	bad := &File{Levels: []Level{{Name: ""}}}
	if err := Save(path, bad); err == nil {
		t.Error("a level without a name is saved")
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the old file changed: %v", err)
	}
}
