package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/graph"
)

var errDisk = errors.New("the disk says no")

// failing is a disk whose n-th call fails, counting all calls from 1. A write that fails writes half.
type failing struct {
	osDisk
	n, calls int
	failed   string
}

func (d *failing) fails(call string) bool {
	d.calls++
	if d.calls == d.n {
		d.failed = call
	}
	return d.calls == d.n
}

func (d *failing) create(path string) (file, error) {
	if d.fails("create") {
		return nil, errDisk
	}
	f, err := d.osDisk.create(path)
	return &failingFile{f, d}, err
}

func (d *failing) rename(from, to string) error {
	if d.fails("rename") {
		return errDisk
	}
	return d.osDisk.rename(from, to)
}

func (d *failing) remove(path string) error {
	if d.fails("remove") {
		return errDisk
	}
	return d.osDisk.remove(path)
}

func (d *failing) syncDir(dir string) error {
	if d.fails("syncDir") {
		return errDisk
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
		return n, errDisk
	}
	return f.file.Write(b)
}

func (f *failingFile) Sync() error {
	if f.d.fails("sync") {
		return errDisk
	}
	return f.file.Sync()
}

func (f *failingFile) Close() error {
	err := f.file.Close()
	if f.d.fails("close") {
		return errDisk
	}
	return err
}

// TestSaveWithAFailingDisk fails the first call, then the second, until a run completes. Whatever fails, the old file or the new
// one is there in full, the error is reported, and nothing is left behind.
func TestSaveWithAFailingDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.cram")
	file := func(seed uint64) *File {
		return &File{Meta: Meta{Seed: seed}, Levels: []Level{{Name: "dense", Tensors: map[string]graph.Value{
			"w": graph.DenseValue(random(t, uint32(seed), 100_000))}}}}
	}
	if err := Save(path, file(0)); err != nil {
		t.Fatal(err)
	}
	var failed []string
	for n, old := 1, uint64(0); ; n++ {
		d := &failing{n: n}
		err := save(d, path, file(uint64(n)))
		if (err != nil) != (d.failed != "") || err != nil && !errors.Is(err, errDisk) {
			t.Fatalf("%s failed as call %d, the error is %v", d.failed, n, err)
		}
		r, err := Open(path)
		if err != nil {
			t.Fatalf("after %s failed: %v", d.failed, err)
		}
		want := old
		if d.failed == "" || d.failed == "syncDir" {
			want = uint64(n)
		}
		if err := errors.Join(r.Verify(), r.Close()); err != nil || r.Meta().Seed != want {
			t.Errorf("after %s failed: the file of save %d, want %d, %v", d.failed, r.Meta().Seed, want, err)
		}
		old = want
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("after %s failed: the folder holds %v", d.failed, left)
		}
		if d.failed == "" {
			break
		}
		failed = append(failed, d.failed)
	}
	for _, call := range []string{"create", "write", "sync", "close", "rename", "syncDir"} {
		if !strings.Contains(strings.Join(failed, " "), call) {
			t.Errorf("%s never failed: %v", call, failed)
		}
	}
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
