//go:build unix && !linux

package process

import (
	"io"
	"os"
	"syscall"
)

// newStdin returns the two ends of the child's standard input, a stream: not all of these systems
// have packets.
func newStdin() (host io.Closer, child *os.File, err error) {
	syscall.ForkLock.RLock() // no child is forked before both ends close on exec
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(ends[0])
		syscall.CloseOnExec(ends[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return socketFiles(ends)
}
