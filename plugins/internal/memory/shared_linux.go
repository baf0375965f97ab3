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

// CanShare reports whether this system has all that shared memory needs: Linux 5.1 or later, where memory can be sealed
// against writing by others. Without it a host streams.
func CanShare() bool { return canShare() }

var canShare = sync.OnceValue(func() bool {
	fd, b, err := newRegion(context.Background(), towardPlugin, os.Getpagesize())
	if err != nil {
		return false
	}
	unmap(b)
	unix.Close(fd)
	return true
})

// Shared returns a Host that hands shared memory over through the socket, which stays the caller's.
func Shared(socket *net.UnixConn) *Host {
	h := newHost(shared{socket})
	if socket == nil {
		h.err = errors.New("memory: no socket to hand shared memory over: stream instead")
	}
	return h
}

// shared is the transport to a plugin that maps the host's own memory.
type shared struct{ socket *net.UnixConn }

func (s shared) open(ctx context.Context, id uint32, toward direction, bytes int, replaces uint32) ([]byte, error) {
	fd, b, err := newRegion(ctx, toward, bytes)
	if err != nil {
		return nil, fmt.Errorf("memory: region %d %s of %d bytes: %w", id, toward, bytes, err)
	}
	defer unix.Close(fd)
	m := message{toward: toward, region: id, replaces: replaces, size: uint64(bytes)}
	if err := s.write(ctx, m, unix.UnixRights(fd)); err != nil {
		unmap(b)
		return nil, fmt.Errorf("memory: handing region %d over to the plugin: %w", id, err)
	}
	return b, nil
}

func (s shared) drop(ctx context.Context, id uint32) error {
	if err := s.write(ctx, message{replaces: id}, nil); err != nil {
		return fmt.Errorf("memory: letting go of region %d at the plugin: %w", id, err)
	}
	return nil
}

// write sends a message, which goes whole or not at all; it waits where the plugin does not read, until ctx is done.
func (s shared) write(ctx context.Context, m message, rights []byte) error {
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

func (shared) free(b []byte) { unmap(b) }

func (shared) send(context.Context, region, int) error        { return nil }
func (shared) receive(context.Context, region, []Place) error { return nil }

// newRegion makes and maps a region. Its size can change no more, and where it goes toward the plugin only the mapping
// made here can write to it. All of its memory is there, so that lack of it is an error here and not a fault later.
func newRegion(ctx context.Context, toward direction, bytes int) (fd int, b []byte, err error) {
	fd, err = unix.MemfdCreate("cram", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return 0, nil, fmt.Errorf("memfd_create: %w; where the system allows none, stream instead", err)
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
	if toward == towardPlugin {
		prot |= unix.PROT_WRITE
		seals |= unix.F_SEAL_FUTURE_WRITE
	}
	if b, err = unix.Mmap(fd, 0, bytes, prot, unix.MAP_SHARED); err != nil {
		return fd, b, fmt.Errorf("mmap: %w", err)
	}
	if _, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fd, b, fmt.Errorf("sealing: %w; before Linux 5.1 nothing seals memory against writing by others: stream instead", err)
	}
	if err = allocate(ctx, fd, bytes); err != nil {
		return fd, b, fmt.Errorf("no memory for it: %w", err)
	}
	return fd, b, nil
}

// allocate goes in steps, because a signal undoes the step that it interrupts.
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
