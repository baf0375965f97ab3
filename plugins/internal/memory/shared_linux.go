package memory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// CanShare reports whether the system supports shared memory: Linux 5.1 or later, where a memfd can
// be sealed against writing by others. Other systems use streams.
func CanShare() bool { return canShare() }

var canShare = sync.OnceValue(func() bool {
	fd, b, err := newRegion(context.Background(), input, os.Getpagesize())
	if err != nil {
		return false
	}
	unmap(b)
	unix.Close(fd)
	return true
})

// Shared returns a Host that sends shared memory through the socket. The caller closes the socket.
func Shared(socket *net.UnixConn) *Host {
	h := newHost(shared{socket})
	if socket == nil {
		h.err = errors.New("no socket for shared memory: use streams")
	}
	return h
}

// shared is the transport to a plugin that maps the host's memory.
type shared struct{ socket *net.UnixConn }

func (s shared) open(ctx context.Context, id uint32, d direction, bytes int, replaces uint32) ([]byte, error) {
	fd, b, err := newRegion(ctx, d, bytes)
	if err != nil {
		return nil, fmt.Errorf("region %d (%v) of %d bytes: %w", id, d, bytes, err)
	}
	defer unix.Close(fd)
	m := regionMessage{direction: d, region: id, replaces: replaces, size: uint64(bytes)}
	if err := s.write(ctx, m, unix.UnixRights(fd)); err != nil {
		unmap(b)
		return nil, fmt.Errorf("sending region %d to the plugin: %w", id, err)
	}
	return b, nil
}

func (s shared) remove(ctx context.Context, id uint32) error {
	if err := s.write(ctx, regionMessage{replaces: id}, nil); err != nil {
		return fmt.Errorf("removing region %d at the plugin: %w", id, err)
	}
	return nil
}

// write sends a message, completely or not at all. While the plugin does not read, it waits until
// ctx is done.
func (s shared) write(ctx context.Context, m regionMessage, rights []byte) error {
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.socket.SetWriteDeadline(time.Unix(1, 0))
		close(expired)
	})
	_, _, err := s.socket.WriteMsgUnix(m.encode(), rights, nil)
	if !stop() {
		<-expired
		s.socket.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		return failure(ctx, err)
	}
	return nil
}

func (shared) unmap(b []byte) { unmap(b) }

func (shared) send(context.Context, region, int) error       { return nil }
func (shared) receive(context.Context, region, []Span) error { return nil }

// newRegion creates and maps a region. Its size is sealed, and only the mapping that is created
// here can write to an input region. All of its memory is allocated, so that a lack of memory is an
// error here and not a fault later.
func newRegion(ctx context.Context, d direction, bytes int) (fd int, b []byte, err error) {
	fd, err = unix.MemfdCreate("cram", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return 0, nil, fmt.Errorf("memfd_create: %w; if the system does not allow it, use streams", err)
	}
	defer func() {
		if err != nil {
			unmap(b)
			unix.Close(fd)
			fd, b = 0, nil
		}
	}()
	if err = unix.Ftruncate(fd, int64(bytes)); err != nil {
		return fd, b, fmt.Errorf("ftruncate: %w", err)
	}
	prot, seals := unix.PROT_READ, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL
	if d == input {
		prot |= unix.PROT_WRITE
		seals |= unix.F_SEAL_FUTURE_WRITE
	}
	if b, err = unix.Mmap(fd, 0, bytes, prot, unix.MAP_SHARED); err != nil {
		return fd, b, fmt.Errorf("mmap: %w", err)
	}
	if _, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fd, b, fmt.Errorf("sealing: %w; before Linux 5.1 memory cannot be sealed against writing by others: use streams", err)
	}
	if err = allocate(ctx, fd, bytes); err != nil {
		return fd, b, fmt.Errorf("allocating its memory: %w", err)
	}
	return fd, b, nil
}

// allocate allocates in steps, because a signal undoes the step that it interrupts.
func allocate(ctx context.Context, fd, bytes int) error {
	const stride = 4 << 20
	for at := 0; at < bytes; {
		err := unix.Fallocate(fd, 0, int64(at), int64(min(stride, bytes-at)))
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			at += stride
		case err != unix.EINTR:
			return err
		}
	}
	return nil
}

func unmap(b []byte) {
	if b != nil {
		unix.Munmap(b) // fails only for what is not mapped
	}
}
