package process

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// copied pins a program by a copy in a private folder, which must lie where programs may be executed ($TMPDIR). Linux has something better.
func copied(path string, sum []byte) (program, error) {
	folder, err := os.MkdirTemp("", "cram-plugin-")
	if err != nil {
		return program{}, fmt.Errorf("process: folder for a copy of %s: %w", path, err)
	}
	p := program{path: filepath.Join(folder, filepath.Base(path)), folder: folder}
	if err := copyFile(p.path, path); err != nil {
		p.close()
		return program{}, fmt.Errorf("process: copying %s: %w", path, err)
	}
	f, err := os.Open(p.path)
	if err == nil {
		err = verify(path, f, sum)
		_ = f.Close()
	}
	if err != nil {
		p.close()
		return program{}, err
	}
	return p, nil
}

func copyFile(to, from string) error {
	src, size, err := open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	// A child that is forked now would hold the copy open for writing until it executes something, and what is open for writing cannot be executed.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.CopyN(dst, src, size)
	if e := dst.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Chmod(to, 0o500)
	}
	return err
}
