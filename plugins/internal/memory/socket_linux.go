package memory

import (
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// FromSocket returns the regions that a host sends through the socket. It calls ended once: with
// io.EOF when the socket is closed, which is when the host has ended, or with another error when a
// message is wrong. All regions are then removed, and unmapped when the running calls have ended.
func FromSocket(socket *net.UnixConn, ended func(error)) *Regions {
	r := newRegions(maxBytes, unmap)
	go func() {
		for {
			if err := r.receive(socket); err != nil {
				r.fail(err)
				ended(err)
				return
			}
		}
	}()
	return r
}

// receive reads one message. It closes all descriptors that the message carried.
func (r *Regions) receive(socket *net.UnixConn) error {
	// One byte and one descriptor more than a right message has, so that longer ones are detected.
	buf, rights := make([]byte, messageSize+1), make([]byte, unix.CmsgSpace(2*4))
	n, rn, flags, _, err := socket.ReadMsgUnix(buf, rights)
	fds, rightsErr := descriptors(rights[:rn])
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("reading the socket: %w", err)
	}
	if rightsErr != nil || flags&unix.MSG_CTRUNC != 0 {
		return fmt.Errorf("want at most one descriptor with a message, got %d or more (%v)", len(fds), rightsErr)
	}
	m, err := decode(buf[:n], len(fds))
	if err != nil {
		return err
	}
	if m.direction == noRegion {
		r.remove(m.replaces)
		return nil
	}
	return r.add(m.region, m.direction, m.size, m.replaces, func(bytes int) ([]byte, error) {
		return mapRegion(fds[0], m.direction, bytes)
	})
}

func descriptors(rights []byte) (fds []int, err error) {
	controls, err := unix.ParseSocketControlMessage(rights)
	for _, c := range controls {
		more, rightsErr := unix.ParseUnixRights(&c)
		if rightsErr != nil {
			err = rightsErr
		}
		fds = append(fds, more...)
	}
	return fds, err
}

// mapRegion maps a memfd whose size cannot shrink, so that no read of it can fault.
func mapRegion(fd int, d direction, bytes int) ([]byte, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("fstat: %w", err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Size != int64(bytes) {
		return nil, fmt.Errorf("want a descriptor of %d bytes of memory, got one of mode %o and %d bytes", bytes, stat.Mode, stat.Size)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, fmt.Errorf("want a memfd: F_GET_SEALS: %w", err)
	}
	if seals&unix.F_SEAL_SHRINK == 0 {
		return nil, fmt.Errorf("want a memfd whose size is sealed, got seals %#x", seals)
	}
	prot := unix.PROT_READ
	if d == output {
		prot |= unix.PROT_WRITE
	}
	b, err := unix.Mmap(fd, 0, bytes, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return b, nil
}
