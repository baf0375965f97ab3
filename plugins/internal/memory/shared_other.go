//go:build !linux

package memory

import (
	"errors"
	"net"
)

var errShared = errors.New("memory: shared memory needs Linux: stream instead")

// CanShare reports whether this system has all that shared memory needs: Linux 5.1 or later, where memory can be sealed
// against writing by others. Without it a host streams.
func CanShare() bool { return false }

// Shared returns a Host that has no leases: shared memory needs Linux.
func Shared(*net.UnixConn) *Host {
	h := newHost(nil)
	h.err = errShared
	return h
}

// FromSocket returns Regions that have none: shared memory needs Linux. gone is not called.
func FromSocket(_ *net.UnixConn, gone func()) *Regions {
	r := newRegions(limit, func([]byte) {})
	r.end(errShared)
	return r
}
