package memory

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

func init() { transports["shared"] = sharedPair }

func sharedPair(t testing.TB) (*Host, *Regions) {
	host, plugin := socketPair(t)
	return connected(t, host, plugin)
}

// connected returns a host and regions. Both are closed before the test ends.
func connected(t testing.TB, host, plugin *net.UnixConn) (*Host, *Regions) {
	ended := make(chan error, 1)
	h, r := Shared(host), FromSocket(plugin, func(err error) { ended <- err })
	t.Cleanup(func() {
		h.Close()
		host.Close()
		<-ended
	})
	return h, r
}

// socketPair returns both ends of a socket, as sockets of package net.
func socketPair(t testing.TB) (host, plugin *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	host, plugin = connOf(t, os.NewFile(uintptr(fds[0]), "host")), connOf(t, os.NewFile(uintptr(fds[1]), "plugin"))
	t.Cleanup(func() {
		host.Close()
		plugin.Close()
	})
	return host, plugin
}

func connOf(t testing.TB, f *os.File) *net.UnixConn {
	t.Helper()
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.UnixConn)
}

func TestCanShare(t *testing.T) {
	if !CanShare() {
		t.Error("shared memory does not work on this Linux")
	}
	if _, err := Shared(nil).Acquire(within(t), Layout{}, Layout{}); err == nil {
		t.Error("a host without a socket has regions")
	}
}

// memfd returns a memfd that the test closes.
func memfd(t *testing.T, size int64, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, size); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestInvalidMessages(t *testing.T) {
	const size = 1 << 16
	good := memfd(t, size, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	region := func(id, replaces uint32, size uint64) regionMessage { return regionMessage{input, id, replaces, size} }
	altered := func(at int, to byte) []byte {
		b := region(5, 0, size).encode()
		b[at] = to
		return b
	}
	for name, c := range map[string]struct {
		message []byte
		fds     []int
		want    string
	}{
		"short":                      {region(5, 0, size).encode()[:23], []int{good}, "24 bytes, got 23"},
		"one byte":                   {[]byte{1}, nil, "24 bytes, got 1"},
		"nothing but a descriptor":   {nil, []int{good}, "24 bytes, got 1"}, // net adds a byte
		"long":                       {append(region(5, 0, size).encode(), 0), []int{good}, "24 bytes, got 25"},
		"very long":                  {make([]byte, 10000), nil, "24 bytes, got 25"},
		"other magic":                {altered(0, 'C'), []int{good}, `begins with "cram"`},
		"other version":              {altered(4, 2), []int{good}, "version 1"},
		"reserved":                   {altered(7, 1), []int{good}, "version 1"},
		"direction 3":                {altered(5, 3), []int{good}, "direction 0, 1 or 2, got 3"},
		"no direction":               {altered(5, 0), []int{good}, "has no direction"},
		"nothing at all":             {regionMessage{}.encode(), nil, "has no direction"},
		"no descriptor":              {region(5, 0, size).encode(), nil, "want 1 descriptors, got 0"},
		"two descriptors":            {region(5, 0, size).encode(), []int{good, good}, "want 1 descriptors, got 2"},
		"forty descriptors":          {region(5, 0, size).encode(), repeat(good, 40), "at most one descriptor"},
		"removal, descriptor":        {regionMessage{replaces: 4}.encode(), []int{good}, "want 0 descriptors, got 1"},
		"a file":                     {region(5, 0, size).encode(), []int{int(file.Fd())}, "F_GET_SEALS"},
		"a device":                   {region(5, 0, size).encode(), []int{int(pipe.Fd())}, "got one of mode"},
		"unsealed":                   {region(5, 0, size).encode(), []int{memfd(t, size, 0)}, "size is sealed"},
		"may shrink":                 {region(5, 0, size).encode(), []int{memfd(t, size, unix.F_SEAL_GROW)}, "size is sealed"},
		"larger than it is":          {region(5, 0, size+1).encode(), []int{good}, "got one of mode"},
		"smaller than it is":         {region(5, 0, size-1).encode(), []int{good}, "got one of mode"},
		"no size":                    {region(5, 0, 0).encode(), []int{good}, "want 1 to 1099511627776 bytes, with 65536 in use, got 0"},
		"negative size":              {region(5, 0, 1<<63+size).encode(), []int{good}, "want 1 to"},
		"too large":                  {region(5, 0, maxBytes).encode(), []int{good}, "want 1 to"},
		"number 0":                   {region(0, 0, size).encode(), []int{good}, "above 4, got 0"},
		"number twice":               {region(4, 0, size).encode(), []int{good}, "above 4, got 4"},
		"earlier number":             {region(3, 0, size).encode(), []int{good}, "above 4, got 3"},
		"replaces none":              {region(5, 3, size).encode(), []int{good}, "region 3, which does not exist"},
		"replaces itself":            {region(5, 5, size).encode(), []int{good}, "region 5, which does not exist"},
		"replaces another direction": {regionMessage{output, 5, 4, size}.encode(), []int{good}, "region 5 (output) replaces region 4 (input)"},
		"write seal on an output":    {regionMessage{output, 5, 0, size}.encode(), []int{memfd(t, size, unix.F_SEAL_SHRINK|unix.F_SEAL_WRITE)}, "mmap"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t)
			host, plugin := socketPair(t)
			ended := make(chan error, 1)
			before := descriptorsOpen(t)
			r := FromSocket(plugin, func(err error) {
				ended <- err
				close(ended) // a second call panics
			})
			if _, _, err := host.WriteMsgUnix(region(4, 0, size).encode(), unix.UnixRights(good), nil); err != nil {
				t.Fatal(err)
			}
			b, err := r.In(ctx, &protocol.Span{Region: 4, Bytes: size})
			if err != nil || len(b) != size {
				t.Fatalf("the good region: %d bytes, error %v", len(b), err)
			}
			endCall := r.StartCall()
			if _, _, err := host.WriteMsgUnix(c.message, unix.UnixRights(c.fds...), nil); err != nil {
				t.Fatal(err)
			}
			if _, err := r.In(ctx, &protocol.Span{Region: 9, Bytes: 1}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			select {
			case err := <-ended:
				if err == nil || err == io.EOF {
					t.Errorf("a wrong message ended the regions with %v", err)
				}
			case <-ctx.Done():
				t.Fatal("a wrong message did not end the regions")
			}
			if _, err := r.In(ctx, &protocol.Span{Region: 4, Bytes: size}); err == nil {
				t.Error("the good region still exists")
			}
			if b[size-1] != 0 { // a fault if it were unmapped during the call
				t.Error("the memory of the running call changed")
			}
			endCall()
			if _, _, ok := locate(r, address(b)); ok {
				t.Error("regions are mapped after the end")
			}
			if n := descriptorsOpen(t); n != before {
				t.Errorf("%d descriptors are open, %d were before", n, before)
			}
		})
	}
}

func repeat(fd, n int) []int {
	fds := make([]int, n)
	for i := range fds {
		fds[i] = fd
	}
	return fds
}

func descriptorsOpen(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestWaiting holds that In and Out wait only for regions that can still arrive.
func TestWaiting(t *testing.T) {
	host, plugin := socketPair(t)
	h, r := connected(t, host, plugin)
	arrived := make(chan error)
	go func() {
		_, err := r.In(within(t), &protocol.Span{Region: 3, Bytes: 1 << 20})
		arrived <- err
	}()
	acquire(t, h, 1, 1)
	acquire(t, h, 1, 0)
	if err := <-arrived; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	go func() {
		_, err := r.Out(ctx, &protocol.Span{Region: 4, Bytes: 1})
		arrived <- err
	}()
	cancel(enough)
	if err := <-arrived; !errors.Is(err, enough) {
		t.Errorf("waiting for a region that does not arrive: %v", err)
	}
	r.remove(2)
	if _, err := r.Out(within(t), &protocol.Span{Region: 2, Bytes: 1}); err == nil || !strings.Contains(err.Error(), "no region 2") {
		t.Errorf("a region that was removed: %v", err)
	}
	if _, err := r.Out(within(t), &protocol.Span{Region: 1, Bytes: 1}); err == nil || !strings.Contains(err.Error(), "want an output region, got region 1, which is input") {
		t.Errorf("Out of an input region: %v", err)
	}
	if _, err := r.In(within(t), &protocol.Span{Bytes: 1}); err == nil {
		t.Error("region 0 has bytes")
	}
	go func() {
		_, err := r.In(within(t), &protocol.Span{Region: 4, Bytes: 1})
		arrived <- err
	}()
	host.Close()
	if err := <-arrived; !errors.Is(err, io.EOF) {
		t.Errorf("waiting for a region when the host ends: %v", err)
	}
}

// TestWritesFault holds that a write of the plugin to its input is a fault at a known address.
func TestWritesFault(t *testing.T) {
	h, r := sharedPair(t)
	pair := acquire(t, h, 1000, 0)
	defer pair.Release()
	copy(pair.In(Span{0, 1000}), "untouched")
	x, err := r.In(within(t), pair.InSpan(Span{64, 100}))
	if err != nil {
		t.Fatal(err)
	}
	addr, err := write(x, 7)
	region, offset, ok := locate(r, addr)
	if err == nil || !ok || region != pair.regions.in.id || offset != 71 {
		t.Errorf("write: %v in region %d, offset %d, %v; want a fault at region %d, offset 71", err, region, offset, ok, pair.regions.in.id)
	}
	if string(pair.In(Span{0, 9})) != "untouched" || pair.In(Span{64, 8})[7] != 0 {
		t.Error("the input was changed")
	}
	if _, _, ok := locate(r, address([]byte{1})); ok {
		t.Error("an address of the heap is in a region")
	}
}

// write writes a byte and returns the fault that this causes.
func write(b []byte, at int) (addr uintptr, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault, ok := recover().(interface {
			error
			Addr() uintptr
		}); ok {
			addr, err = fault.Addr(), fault
		}
	}()
	b[at] = 1
	return 0, nil
}

// TestBlockedSocket holds that a plugin that does not read blocks its host only until the end of
// the context, and that the socket still works then.
func TestBlockedSocket(t *testing.T) {
	host, plugin := socketPair(t)
	h := Shared(host)
	defer h.Close()
	sent := 0
	for {
		host.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		if _, _, err := host.WriteMsgUnix(regionMessage{replaces: 99}.encode(), nil, nil); err != nil {
			break
		}
		sent++
	}
	host.SetWriteDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Acquire(ctx, Layout{size: 1}, Layout{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Acquire after %d unread messages: %v", sent, err)
	}
	ended := make(chan error, 1)
	r := FromSocket(plugin, func(err error) { ended <- err })
	defer func() { host.Close(); <-ended }()
	if err := call(within(t), h, r, []byte("goes on")); err != nil {
		t.Error(err)
	}
}

// TestPluginGone holds that a host whose plugin has ended gets errors and can still release
// regions.
func TestPluginGone(t *testing.T) {
	host, plugin := socketPair(t)
	h, r := connected(t, host, plugin)
	pair := acquire(t, h, 1, 1)
	if _, err := r.Out(within(t), pair.OutSpan(Span{0, 1})); err != nil {
		t.Fatal(err)
	}
	plugin.Close()
	for range 3 {
		if _, err := h.Acquire(within(t), Layout{size: 2 << 20}, Layout{}); !errors.Is(err, unix.EPIPE) {
			t.Errorf("Acquire without a plugin: %v", err)
		}
	}
	if !slices.Equal(h.unneeded, []uint32{3}) {
		t.Errorf("the host wants to remove regions %v, want 3", h.unneeded)
	}
	pair.In(Span{0, 1})[0] = 1
	pair.Release()
}

func TestOpenAtSharedMemory(t *testing.T) {
	_, r := sharedPair(t)
	if _, err := r.Open(within(t), &protocol.OpenRequest{Region: 1, Bytes: 1}); status.Code(err) != codes.Unimplemented {
		t.Errorf("Open at a plugin with shared memory: %v", err)
	}
}

// TestCreateFails holds that a region whose creation fails leaves nothing behind.
func TestCreateFails(t *testing.T) {
	h, r := sharedPair(t)
	var huge Layout
	huge.Add(maxBytes)
	open := descriptorsOpen(t)
	ctx, cancel := context.WithCancel(within(t))
	cancel() // seen by the first step of allocate, when the region is mapped and sealed
	if _, err := h.Acquire(ctx, huge, Layout{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Acquire of %d bytes: %v", maxBytes, err)
	}
	if n := mappings(t); n != 0 || descriptorsOpen(t) != open {
		t.Errorf("%d regions are mapped, %d descriptors are open, %d were before", n, descriptorsOpen(t), open)
	}
	if err := call(within(t), h, r, []byte("goes on")); err != nil {
		t.Error(err)
	}
}

// mappings counts the regions that this process maps.
func mappings(t testing.TB) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "/memfd:cram")
}

func TestLeaks(t *testing.T) {
	cycle := func(i int) {
		host, plugin := socketPair(t)
		ended := make(chan error, 1)
		h, r := Shared(host), FromSocket(plugin, func(err error) { ended <- err })
		if err := call(within(t), h, r, []byte{1, 2}, make([]byte, 1<<20<<(i%2))); err != nil {
			t.Fatal(err)
		}
		a, b := acquire(t, h, 5, 5), acquire(t, h, 2<<20, 3<<20)
		b.Release()
		h.Close()
		a.Release()
		host.Close()
		<-ended
		plugin.Close()
	}
	cycle(0)
	fds, maps, routines := descriptorsOpen(t), mappings(t), settled(0)
	for i := range 100 {
		cycle(i)
	}
	if n := settled(routines); n > routines || descriptorsOpen(t) != fds || mappings(t) != maps || maps != 0 {
		t.Errorf("after 100 plugins there are %d goroutines, %d descriptors, %d mappings; %d, %d, %d were before", n, descriptorsOpen(t), mappings(t), routines, fds, maps)
	}
}

// settled returns the number of goroutines as soon as it is at most want, or after many attempts.
func settled(want int) int {
	n := runtime.NumGoroutine()
	for i := 0; n > want && i < 10000; i++ {
		runtime.Gosched()
		n = runtime.NumGoroutine()
	}
	return n
}
