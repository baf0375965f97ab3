package checkpoint

import (
	"os"
	"syscall"
)

// beginWriteback starts to write n bytes of f from offset on to the disk, and does not wait. Sync
// reports errors.
func beginWriteback(f *os.File, offset, n int64) {
	const write = 2 // SYNC_FILE_RANGE_WRITE
	if c, err := f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { syscall.SyncFileRange(int(fd), offset, n, write) })
	}
}
