package checkpoint

import (
	"os"
	"syscall"
)

// beginWriteback has the disk start on n bytes of f from offset on, and waits for nothing. What goes wrong is left for Sync to report: only
// waiting would take note of it.
func beginWriteback(f *os.File, offset, n int64) {
	const write = 2 // SYNC_FILE_RANGE_WRITE
	if c, err := f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { syscall.SyncFileRange(int(fd), offset, n, write) })
	}
}
