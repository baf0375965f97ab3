//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// hold locks a new file until release, which may come after the file is closed: the lock belongs to a second descriptor. The kernel lets
// go of it when the process dies, however it dies. If somebody swept the file away before it was locked, the error is fs.ErrExist: take
// another name. A file system without locks is no error; nothing is swept there.
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

// sweep removes the temporary files of saves to path whose process died. A file that cannot be removed does not matter to the save that follows.
func sweep(path string) {
	for _, name := range temporaries(path) {
		// Between the listing and the opening the file may have become something else: follow no link, wait for no pipe.
		f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if tryLock(f) == nil && named(f) {
			os.Remove(name) // while it is locked: who creates this name and finds it locked takes another
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

// named reports whether the file's name still means this file.
func named(f *os.File) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(open, there)
}
