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

// A program is what is executed: the file that was named, or a copy of it that changes no more.
type program struct {
	path      string     // as the child sees it
	inherited []*os.File // the child's descriptors from 3 on
	folder    string     // of the copy, removed at the end
}

func (p program) close() {
	closeAll(p.inherited)
	if p.folder != "" {
		_ = os.RemoveAll(p.folder)
	}
}

// resolve finds a program as exec.Command does, and returns its absolute path.
func resolve(name string) (string, error) {
	if name == "" {
		return "", errors.New("process: the path of the program is empty")
	}
	path, err := exec.LookPath(name)
	if failed, ok := err.(*exec.Error); ok {
		err = failed.Err // the messages below have the name
		if at, ok := err.(*fs.PathError); ok {
			err = at.Err
		}
	}
	switch {
	case errors.Is(err, syscall.EISDIR):
		return "", fmt.Errorf("process: %s is a folder: name the program in it", name)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("process: %s is not an executable file (chmod +x?): %w", name, err)
	case errors.Is(err, exec.ErrDot):
		return "", fmt.Errorf("process: %s is found in the current folder only: write ./%s if that one is meant: %w", name, name, err)
	case err != nil:
		return "", fmt.Errorf("process: no program %s, as a path or in PATH: %w", name, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("process: path of %s: %w", name, err)
	}
	return path, nil
}

// open opens a regular file to copy it, and returns its size.
func open(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0) // whatever it has become meanwhile, opening it returns
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("not a regular file (%v)", info.Mode())
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
		return fmt.Errorf("process: reading the copy of %s: %w", path, err)
	}
	if got := h.Sum(nil); subtle.ConstantTimeCompare(got, want) != 1 {
		return fmt.Errorf("process: %s has SHA-256 %x, pinned is %x: this is not the program that was pinned, and it was not started; "+
			"if it was replaced on purpose, pin the new sum", path, got, want)
	}
	return nil
}
