//go:build unix

package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
)

const dontWait = syscall.O_NONBLOCK

// A mapping is a file in memory. Reads copy out of it.
type mapping struct {
	file   *os.File     // stays open: it knows what became of the file
	memory []byte       // nil: closed
	inUse  sync.RWMutex // locked for reading while memory is read
}

func mapFile(path string) (opened, int64, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, 0, err
	}
	m := &mapping{file: f, memory: []byte{}}
	if size == 0 { // of no bytes there is no mapping
		return m, 0, nil
	}
	if m.memory, err = syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED); err != nil {
		return nil, 0, errors.Join(&fs.PathError{Op: "mmap", Path: path, Err: err}, f.Close())
	}
	return m, size, nil
}

func (m *mapping) ReadAt(b []byte, at int64) (n int, err error) {
	m.inUse.RLock()
	defer m.inUse.RUnlock()
	if m.memory == nil || at < 0 {
		return m.file.ReadAt(b, at) // which says what is wrong
	}
	if at < int64(len(m.memory)) {
		if err := guard(func() { n = copy(b, m.memory[at:]) }); err != nil {
			return 0, m.lost(err)
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// A fault is how the runtime reports an access to memory that is not there.
type fault interface {
	runtime.Error
	Addr() uintptr
}

// guard runs read, which reads mapped memory, and returns the fault it meets. Any other panic goes on.
func guard(read func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of this goroutine
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fault:
			err = p
		default:
			panic(p)
		}
	}()
	read()
	return nil
}

// lost says why reading the memory met a fault.
func (m *mapping) lost(cause error) error {
	info, err := m.file.Stat()
	if err == nil && info.Size() < int64(len(m.memory)) {
		return fmt.Errorf("the file was truncated while mapped, from %d bytes to %d: %w", len(m.memory), info.Size(), io.ErrUnexpectedEOF)
	}
	return errors.Join(fmt.Errorf("the disk failed under the mapped file, or it was truncated for a moment: %w", cause), err)
}

// Close waits for reads in progress.
func (m *mapping) Close() error {
	m.inUse.Lock()
	defer m.inUse.Unlock()
	if m.memory == nil {
		return m.file.Close() // which says that it is closed
	}
	var err error
	if len(m.memory) > 0 {
		err = os.NewSyscallError("munmap", syscall.Munmap(m.memory))
	}
	m.memory = nil
	return errors.Join(err, m.file.Close())
}
