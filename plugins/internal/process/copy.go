package process

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// pinByCopy pins a program by a copy in a private directory. The system must allow programs there
// ($TMPDIR) to be executed. Linux uses a memfd.
func pinByCopy(path string, sum []byte) (program, error) {
	dir, err := os.MkdirTemp("", "cram-plugin-")
	if err != nil {
		return program{}, fmt.Errorf("directory for a copy of %s: %w", path, err)
	}
	p := program{path: filepath.Join(dir, filepath.Base(path)), dir: dir}
	if err := copyFile(p.path, path); err != nil {
		p.close()
		return program{}, fmt.Errorf("copying %s: %w", path, err)
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
	// A file that is open for writing cannot be executed, and a child that is forked now would keep
	// the copy open until it executes its program.
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
