//go:build !linux

package memory

import (
	"errors"
	"net"
)

var errShared = errors.New("shared memory needs Linux: use streams")

// CanShare reports whether the system supports shared memory: Linux 5.1 or later, where a memfd can
// be sealed against writing by others. Other systems use streams.
func CanShare() bool { return false }

// Shared returns a Host whose Acquire returns an error, because shared memory needs Linux.
func Shared(*net.UnixConn) *Host {
	h := newHost(nil)
	h.err = errShared
	return h
}

// FromSocket returns empty Regions, because shared memory needs Linux. It does not call ended.
func FromSocket(_ *net.UnixConn, ended func(error)) *Regions {
	r := newRegions(maxBytes, func([]byte) {})
	r.fail(errShared)
	return r
}
