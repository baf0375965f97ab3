package process

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// newLifeline returns the two ends of the child's standard input. A packet is one message, so that descriptors cannot stray from their bytes.
func newLifeline() (host io.Closer, child *os.File, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return lifeline(ends)
}
