package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Save writes f to path. After a crash or a power cut, path has all of the old file or all of the
// new one: Save writes a temporary file in the same directory, flushes it to the disk, renames it,
// and flushes the directory. After an error Save removes the temporary file, and path is as before;
// if only the last flush fails, the error states it. A link at path is replaced, not followed.
//
// A killed process leaves "path.RANDOM.tmp" behind. The next Save to path removes it on systems
// with flock (Linux, macOS, the BSDs): a Save in progress locks its temporary file. On other
// systems the file is safe to delete.
func Save(path string, f *File) error {
	sweep(path)
	if err := save(osDisk{}, path, f); err != nil {
		return fmt.Errorf("checkpoint: save %s: %w", path, err)
	}
	return nil
}

// A disk has the calls of a file system that Save needs. Tests implement a disk whose calls fail,
// and one whose power is cut.
type disk interface {
	create(path string) (file, error) // fs.ErrExist if path exists
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
}

// A file is a new file. Until release, which is called after Close, sweep does not remove it.
type file interface {
	io.Writer
	Sync() error
	Close() error
	release()
}

func save(d disk, path string, f *File) error {
	temp, out, err := createTemp(d, path)
	if err != nil {
		return err
	}
	defer out.release()
	if err := finish(out, f); err != nil {
		return errors.Join(err, d.remove(temp))
	}
	if err := d.rename(temp, path); err != nil {
		return errors.Join(err, d.remove(temp))
	}
	if err := d.syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("the new file is in place, but after a power cut path may have the old one: %w", err)
	}
	return nil
}

// createTemp creates a file with a new name in the directory of path.
func createTemp(d disk, path string) (name string, f file, err error) {
	for range 100 {
		name = fmt.Sprintf("%s.%08x.tmp", path, rand.Uint32())
		if f, err = d.create(name); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return name, f, err
}

// finish writes and closes out.
func finish(out file, f *File) error {
	err := Write(out, f)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

type osDisk struct{}

func (osDisk) create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err // a nil *os.File in an interface is not nil
	}
	release, err := hold(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &osFile{File: f, unlock: release}, nil
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(path string) error     { return os.Remove(path) }

func (osDisk) syncDir(dir string) error {
	if runtime.GOOS == "windows" { // it cannot flush directories; it journals renames
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// An osFile starts to write to the disk while the rest of the file is still being written, so that
// Sync has less to wait for.
type osFile struct {
	*os.File
	unlock         func()
	written, begun int64 // bytes; begun of them are on their way to the disk, a multiple of 4 MiB
}

func (f *osFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.written += int64(n)
	if ready := f.written &^ (4<<20 - 1); ready > f.begun {
		beginWriteback(f.File, f.begun, ready-f.begun)
		f.begun = ready
	}
	return n, err
}

func (f *osFile) release() { f.unlock() }

// temporaries returns the temporary files of Saves to path.
func temporaries(path string) []string {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil // the Save that follows returns the error of the directory
	}
	var names []string
	for _, e := range entries {
		random, ok := strings.CutPrefix(e.Name(), base+".")
		random, temp := strings.CutSuffix(random, ".tmp")
		if ok && temp && len(random) == 8 && strings.Trim(random, "0123456789abcdef") == "" && e.Type().IsRegular() {
			names = append(names, dir+e.Name())
		}
	}
	return names
}
