//go:build unix && !linux

package process

import (
	"io"
	"os"
	"syscall"
)

// newLifeline returns the two ends of the child's standard input. Not all of these systems have packets, so it is a stream.
func newLifeline() (host io.Closer, child *os.File, err error) {
	syscall.ForkLock.RLock() // nobody is forked before both ends close on exec
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(ends[0])
		syscall.CloseOnExec(ends[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return lifeline(ends)
}
