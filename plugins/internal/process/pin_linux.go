package process

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// pin copies a program to a memfd, seals it, and hashes the sealed copy. The child executes the
// descriptor that it inherits. The descriptor is open in the child, because the interpreter of a
// script opens it again.
func pin(path string, sum []byte) (program, error) {
	src, size, err := open(path)
	if err != nil {
		return program{}, fmt.Errorf("opening %s to pin it: %w", path, err)
	}
	defer src.Close()
	mem, err := memfd(filepath.Base(path))
	if err != nil {
		return program{}, fmt.Errorf("executable memory for %s (is vm.memfd_noexec 2?): %w", path, err)
	}
	if _, err = io.CopyN(mem, src, size); err == nil {
		_, err = unix.FcntlInt(mem.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = mem.Close()
		return program{}, fmt.Errorf("copying %s to memory: %w", path, err)
	}
	if err := verify(path, io.NewSectionReader(mem, 0, math.MaxInt64), sum); err != nil {
		_ = mem.Close()
		return program{}, err
	}
	return program{path: "/proc/self/fd/3", inherited: []*os.File{mem}}, nil
}

// memfd creates a memfd that can be executed and sealed. Kernels before 6.3 do not have MFD_EXEC.
func memfd(name string) (*os.File, error) {
	name = name[:min(len(name), 200)] // the kernel takes 249 bytes
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "memfd:"+name), nil
}
