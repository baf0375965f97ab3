package process

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// newStdin returns the two ends of the child's standard input. Each packet is one message, so that
// descriptors arrive with the bytes that they belong to.
func newStdin() (host io.Closer, child *os.File, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return socketFiles(ends)
}
