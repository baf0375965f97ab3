package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Open opens the file at path. Close it when done. Folders, pipes and whatever else is not a regular file are refused.
func Open(path string) (*Reader, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return owned(path, f, size)
}

// openRegular opens a regular file and returns its size. It waits for nobody: opening a pipe would, until somebody writes to it.
func openRegular(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|dontWait, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("not a regular file: %v", info.Mode())}
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// OpenMapped is [Open] by mapping the file into memory instead of reading it by system calls. The mapping is only a source: what the
// Reader returns is copied out of it, checked as copied, and stays valid after Close.
//
// It saves no time on an ordinary system, since bytes are copied once either way: to open a file, read a level and close it, Open is the faster
// (BenchmarkOpen measures both), because a new mapping meets a page fault wherever it is first touched; a Reader that is kept open, with its pages
// mapped, comes to about the same. Take it where system calls are dear or restricted, and measure there.
//
// A file that is truncated while it is mapped does not end the process. Pages that are gone make a read an error that says so
// and wraps [io.ErrUnexpectedEOF]; what is cut off the last page reads as zeros, which the checksums refuse. Reading
// works again once the file has its content back. [Save] replaces files and truncates none: a mapping keeps the one it was made of.
//
// It refuses what Open refuses, and on systems without mmap every file: the error wraps [errors.ErrUnsupported] there, use [Open].
func OpenMapped(path string) (*Reader, error) {
	m, size, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return owned(path, m, size)
}

// OpenFS opens a file of fsys. One that cannot be read at any place, as in a zip archive, is read whole. Close it when done.
func OpenFS(fsys fs.FS, name string) (*Reader, error) {
	if fsys == nil {
		return nil, errors.New("checkpoint: the file system is nil")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", errors.Join(err, f.Close()))
	}
	if r, ok := f.(opened); ok {
		return owned(name, r, info.Size())
	}
	whole, err := io.ReadAll(io.LimitReader(f, info.Size()))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return owned(name, inMemory{bytes.NewReader(whole)}, int64(len(whole)))
}

// opened is what a Reader reads and closes.
type opened interface {
	io.ReaderAt
	io.Closer
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// owned returns the Reader of what was opened under a name, which it closes after an error.
func owned(name string, from opened, size int64) (*Reader, error) {
	r, err := NewReader(from, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, errors.Join(err, from.Close()))
	}
	r.file = from
	return r, nil
}
