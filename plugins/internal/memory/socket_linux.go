package memory

import (
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// FromSocket returns the regions that a host hands over through the socket. gone is called once when the socket ends,
// which is when the host has gone, or when a message is wrong; Err says which. All regions are let go of then, once the
// calls under way have ended.
func FromSocket(socket *net.UnixConn, gone func()) *Regions {
	r := newRegions(limit, unmap)
	go func() {
		for {
			if err := r.receive(socket); err != nil {
				r.end(err)
				gone()
				return
			}
		}
	}()
	return r
}

// receive reads one message. Of the descriptors that come with it none stays open.
func (r *Regions) receive(socket *net.UnixConn) error {
	buf, rights := make([]byte, messageSize+1), make([]byte, unix.CmsgSpace(2*4)) // a byte and a descriptor too many are seen
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
		return fmt.Errorf("memory: reading the socket: %w", err)
	}
	if rightsErr != nil || flags&unix.MSG_CTRUNC != 0 {
		return fmt.Errorf("memory: expected at most one descriptor with a message, got %d or more (%v)", len(fds), rightsErr)
	}
	m, err := decode(buf[:n], len(fds))
	if err != nil {
		return err
	}
	if m.region == 0 && m.toward == either {
		r.drop(m.replaces)
		return nil
	}
	return r.add(m.region, m.toward, m.size, m.replaces, func(bytes int) ([]byte, error) { return mapRegion(fds[0], m.toward, bytes) })
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

// mapRegion maps memory that cannot shrink under the plugin's hands.
func mapRegion(fd int, toward direction, bytes int) ([]byte, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("fstat: %w", err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Size != int64(bytes) {
		return nil, fmt.Errorf("expected a descriptor of %d bytes of memory, got one of mode %o and %d bytes", bytes, stat.Mode, stat.Size)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, fmt.Errorf("expected a memfd: F_GET_SEALS: %w", err)
	}
	if seals&unix.F_SEAL_SHRINK == 0 {
		return nil, fmt.Errorf("expected a memfd whose size is sealed, got seals %#x", seals)
	}
	prot := unix.PROT_READ
	if toward == towardHost {
		prot |= unix.PROT_WRITE
	}
	b, err := unix.Mmap(fd, 0, bytes, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return b, nil
}
