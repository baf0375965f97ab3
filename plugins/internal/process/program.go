package process

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// A program is the file to execute: the file of the Spec, or a copy that cannot change.
type program struct {
	path      string     // in the child
	inherited []*os.File // the child's descriptors from 3 on
	dir       string     // of the copy; removed by close
}

func (p program) close() {
	closeAll(p.inherited)
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// resolve returns the absolute path of a program, which it finds like exec.Command.
func resolve(name string) (string, error) {
	if name == "" {
		return "", errors.New("the path of the program is empty")
	}
	path, err := exec.LookPath(name)
	if failed, ok := err.(*exec.Error); ok {
		err = failed.Err // the errors below have the name
		if at, ok := err.(*fs.PathError); ok {
			err = at.Err
		}
	}
	switch {
	case errors.Is(err, syscall.EISDIR):
		return "", fmt.Errorf("%s is a directory, want a program", name)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%s is not an executable file (chmod +x?): %w", name, err)
	case errors.Is(err, exec.ErrDot):
		return "", fmt.Errorf("%s is only in the current directory: write ./%s to use that one: %w", name, name, err)
	case err != nil:
		if here := "." + string(filepath.Separator) + name; filepath.Base(name) == name {
			if _, statError := os.Stat(here); statError == nil {
				return "", fmt.Errorf("no program %s in PATH: did you mean %s: %w", name, here, err)
			}
		}
		return "", fmt.Errorf("no program %s, neither as a path nor in PATH: %w", name, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("path of %s: %w", name, err)
	}
	return path, nil
}

// open opens a regular file and returns its size.
func open(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0) // so that opening a FIFO returns
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("want a regular file, got %v", info.Mode())
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// verify compares the SHA-256 of a copy with the pinned one.
func verify(path string, content io.Reader, want []byte) error {
	h := sha256.New()
	if _, err := io.Copy(h, content); err != nil {
		return fmt.Errorf("reading the copy of %s: %w", path, err)
	}
	if got := h.Sum(nil); subtle.ConstantTimeCompare(got, want) != 1 {
		return fmt.Errorf("%s is not the program that was pinned: want SHA-256 %x, got %x; "+
			"pin the new sum if the program was replaced on purpose", path, want, got)
	}
	return nil
}
