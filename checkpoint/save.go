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

// Save writes f to path so that whatever happens, power cuts included, path afterwards holds the file that it held before or all of
// the new one: it writes a temporary file in the same folder, flushes it to the disk, renames it, and flushes the
// folder. After an error the temporary file is removed and path is as it was, unless the error says that the folder could not be
// flushed. A link at path is replaced, not followed.
//
// A process that is killed meanwhile leaves "path.RANDOM.tmp" behind. The next Save to path removes it where the system has flock (Linux,
// macOS, the BSDs): a save in progress, of whatever process, holds a lock on its temporary file, and a file that can be locked is nobody's.
// Elsewhere the file is safe to delete.
func Save(path string, f *File) error {
	sweep(path)
	if err := save(osDisk{}, path, f); err != nil {
		return fmt.Errorf("checkpoint: save %s: %w", path, err)
	}
	return nil
}

// A disk is what saving needs of a file system. Tests make one whose calls fail, and one whose power is cut.
type disk interface {
	create(path string) (file, error) // an error of fs.ErrExist when there is one
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
}

// A file is new and held: until it is released, which comes after Close, nobody sweeps it away.
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
		return fmt.Errorf("the new file is in place, but a power cut may still bring back the old one: %w", err)
	}
	return nil
}

// createTemp creates a file beside path under a name that is free.
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
		return nil, err // not a nil *os.File in an interface
	}
	release, err := hold(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &osFile{File: f, letGo: release}, nil
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(path string) error     { return os.Remove(path) }

func (osDisk) syncDir(dir string) error {
	if runtime.GOOS == "windows" { // folders cannot be flushed there; renames are journalled
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// An osFile has the disk at work while the rest is still being written, so that little is left for Sync to wait for.
type osFile struct {
	*os.File
	letGo          func()
	written, begun int64 // bytes, and those of them that the disk has begun on, a multiple of 4 MiB
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

func (f *osFile) release() { f.letGo() }

// temporaries returns the temporary files beside path that saves to path have made.
func temporaries(path string) []string {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil // the save that follows says what is wrong with the folder
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
