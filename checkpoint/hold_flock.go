//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// hold locks a new file until release, which may be called after Close, because the lock is on a
// second descriptor. The kernel releases the lock when the process ends. If another process removed
// the file before the lock, the error is fs.ErrExist, and the caller uses another name. A file
// system without locks is no error; sweep removes nothing there.
func hold(f *os.File) (release func(), err error) {
	lock, err := os.OpenFile(f.Name(), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fs.ErrExist
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	if err := tryLock(lock); errors.Is(err, syscall.EWOULDBLOCK) || err == nil && !named(f) {
		return nil, errors.Join(fs.ErrExist, lock.Close())
	}
	return func() { lock.Close() }, nil
}

// sweep removes the temporary files of Saves to path whose process has ended. It ignores errors:
// the Save that follows uses a new name.
func sweep(path string) {
	for _, name := range temporaries(path) {
		// The file may have been replaced since: follow no link, wait for no pipe.
		f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if tryLock(f) == nil && named(f) {
			os.Remove(name) // still locked: a process that creates this name now uses another
		}
		f.Close()
	}
}

func tryLock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// named reports whether f is still the file of its name.
func named(f *os.File) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(open, there)
}
