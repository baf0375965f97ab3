package memory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// ways are the ways to connect a host with regions; shared memory adds itself where there is some.
var ways = map[string]func(t testing.TB) (*Host, *Regions){"streamed": streamedPair}

func streamedPair(t testing.TB) (*Host, *Regions) {
	r := FromStream()
	h := Streamed(clientOf(t, r))
	t.Cleanup(func() { h.Close() })
	return h, r
}

// clientOf returns a client of a server, through gRPC in memory.
func clientOf(t testing.TB, s protocol.MemoryServer) protocol.MemoryClient {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	protocol.RegisterMemoryServer(server, s)
	go server.Serve(listener)
	conn, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
	})
	return protocol.NewMemoryClient(conn)
}

func eachWay(t *testing.T, f func(t *testing.T, h *Host, r *Regions)) {
	for name, connect := range ways {
		t.Run(name, func(t *testing.T) {
			h, r := connect(t)
			f(t, h, r)
		})
	}
}

// within is a context for what must not hang.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b[:n:n]
}

// call leases room for the data, has the plugin answer with every byte's complement, in reverse order of the places, and
// compares.
func call(ctx context.Context, h *Host, r *Regions, data ...[]byte) error {
	var in, out Layout
	sent, back := make([]Place, len(data)), make([]Place, len(data))
	for i := range data {
		sent[i], back[len(data)-1-i] = in.Add(len(data[i])), out.Add(len(data[len(data)-1-i]))
	}
	l, err := h.Lease(ctx, in, out)
	if err != nil {
		return err
	}
	defer l.Release()
	for i, d := range data {
		if room := l.In(sent[i]); len(room) != len(d) || cap(room) != len(d) {
			return fmt.Errorf("place %d has %d bytes, capacity %d, want %d", i, len(room), cap(room), len(d))
		}
		copy(l.In(sent[i]), d)
	}
	if err := l.Send(ctx); err != nil {
		return err
	}
	if err := complement(ctx, r, data, func(i int) (*protocol.Span, *protocol.Span) { return l.InSpan(sent[i]), l.OutSpan(back[i]) }); err != nil {
		return err
	}
	if err := l.Receive(ctx, back...); err != nil {
		return err
	}
	for i, d := range data {
		got := l.Out(back[i])
		if len(got) != len(d) || cap(got) != len(d) {
			return fmt.Errorf("place %d came back with %d bytes, capacity %d, want %d", i, len(got), cap(got), len(d))
		}
		for j := range got {
			if got[j] != ^d[j] {
				return fmt.Errorf("place %d, byte %d: got %#x, want %#x", i, j, got[j], ^d[j])
			}
		}
	}
	return nil
}

// complement is the plugin's side of a call.
func complement(ctx context.Context, r *Regions, data [][]byte, spans func(i int) (in, out *protocol.Span)) error {
	defer r.Enter()()
	for i := range data {
		sin, sout := spans(i)
		x, err := r.In(ctx, sin)
		if err != nil {
			return err
		}
		y, err := r.Out(ctx, sout)
		if err != nil {
			return err
		}
		if !bytes.Equal(x, data[i]) || len(y) != len(x) {
			return fmt.Errorf("place %d: the plugin got %d bytes that are not what was sent, and room for %d", i, len(x), len(y))
		}
		for j := range x {
			y[j] = ^x[j]
		}
	}
	return nil
}

func TestRoundTrip(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, sizes := range [][]int{{1}, {0}, {}, {63, 0, 64, 65}, {1 << 20}, {3<<20 + 5, 100}, {7, 1<<20 + 1}, {1<<20 - 1, 1}, {9 << 20}} {
			var data [][]byte
			for _, n := range sizes {
				data = append(data, noise(rng, n))
			}
			if err := call(within(t), h, r, data...); err != nil {
				t.Fatalf("%v: %v", sizes, err)
			}
		}
	})
}

func TestOneDirectionOnly(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		ctx := within(t)
		var in, out, none Layout
		x, y := in.Add(5), out.Add(6)
		for _, layouts := range [][2]Layout{{in, none}, {none, out}, {in, out}} {
			l, err := h.Lease(ctx, layouts[0], layouts[1])
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(l.Send(ctx), l.Receive(ctx)); err != nil {
				t.Fatal(err)
			}
			if layouts[0] == in {
				if _, err := r.In(ctx, l.InSpan(x)); err != nil {
					t.Error(err)
				}
			}
			if layouts[1] == out {
				if _, err := r.Out(ctx, l.OutSpan(y)); err != nil {
					t.Error(err)
				}
			}
			l.Release()
		}
		if n := regionsMade(h); n != 2 {
			t.Errorf("three leases, one after the other, made %d regions, want 2", n)
		}
	})
}

func regionsMade(h *Host) int {
	h.making <- struct{}{}
	defer func() { <-h.making }()
	return int(h.last)
}

func lease(t *testing.T, h *Host, in, out int) *Lease {
	t.Helper()
	var i, o Layout
	i.Add(in)
	o.Add(out)
	l, err := h.Lease(within(t), i, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	return l
}

func TestEmptyLease(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		ctx := within(t)
		var in, out Layout
		x, y := in.Add(0), out.Add(0)
		l, err := h.Lease(ctx, in, out)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.Send(ctx), l.Receive(ctx, y)); err != nil {
			t.Error(err)
		}
		got, err := r.In(ctx, l.InSpan(x))
		back, err2 := r.Out(ctx, l.OutSpan(y))
		if err := errors.Join(err, err2); err != nil || len(l.In(x))+len(l.Out(y))+len(got)+len(back) != 0 {
			t.Errorf("an empty place has %d, %d, %d, %d bytes, error %v", len(l.In(x)), len(l.Out(y)), len(got), len(back), err)
		}
		l.Release()
		if n := regionsMade(h); n != 0 {
			t.Errorf("it made %d regions", n)
		}
	})
}

func TestReuse(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		a, b := lease(t, h, 100, 100), lease(t, h, 100, 100)
		first, second := a.pair, b.pair
		if first.in.id == second.in.id || first.out.id == second.out.id {
			t.Fatalf("two leases share a region: %d %d, %d %d", first.in.id, first.out.id, second.in.id, second.out.id)
		}
		a.Release()
		b.Release()
		if c := lease(t, h, 1<<20, 1); c.pair != second {
			t.Error("the pair used last is not the one reused")
		} else {
			c.Release()
		}
		big := lease(t, h, 1<<20+1, 1)
		if big.pair != second || big.pair.in.id != 5 || big.pair.out.id != 4 {
			t.Errorf("enlarging the pair gave regions %d and %d, want 5 (new) and 4", big.pair.in.id, big.pair.out.id)
		}
		if _, err := r.In(within(t), big.InSpan(Place{0, 1})); err != nil {
			t.Error(err)
		}
		if _, err := r.In(within(t), &protocol.Span{Region: 3, Bytes: 1}); err == nil {
			t.Error("the region that was replaced is still here")
		}
		if small := lease(t, h, 1, 1); small.pair != first {
			t.Error("the free pair is not the one reused")
		}
	})
}

func TestIdlePairsGo(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		var leases []*Lease
		for range idle + 3 {
			leases = append(leases, lease(t, h, 1, 1))
		}
		for _, l := range leases {
			l.Release()
		}
		last := lease(t, h, 1<<20+1, 1) // its new region comes after the request to let go
		if _, err := r.In(within(t), last.InSpan(Place{0, 1})); err != nil {
			t.Fatal(err)
		}
		last.Release()
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := len(r.regions); n != 2*idle || len(h.free) != idle || len(r.retired) != 0 {
			t.Errorf("after %d leases at a time the plugin has %d regions and %d to let go of, the host %d pairs; want %d, 0, %d",
				idle+3, n, len(r.retired), len(h.free), 2*idle, idle)
		}
		if want := (2*idle + 1) << 20; r.bytes != want {
			t.Errorf("the plugin counts %d bytes, want %d", r.bytes, want)
		}
	})
}

func TestCloseAndRelease(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		lease(t, h, 1, 1).Release()
		l := lease(t, h, 100, 100)
		if err := errors.Join(h.Close(), h.Close()); err != nil {
			t.Fatal(err)
		}
		x := l.In(Place{64, 36})
		x[35] = 7 // a lease outlives Close
		l.Release()
		l.Release()
		if _, err := h.Lease(within(t), Layout{}, Layout{}); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("Lease after Close: %v", err)
		}
		if len(h.free) != 0 {
			t.Errorf("%d pairs are free after Close", len(h.free))
		}
	})
}

func TestReleaseTwice(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		l := lease(t, h, 1, 1)
		l.Release()
		l.Release()
		a, b := lease(t, h, 1, 1), lease(t, h, 1, 1)
		if a.pair == b.pair {
			t.Error("a pair that was released twice is leased twice")
		}
	})
}

func TestConcurrentLeases(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		ctx := within(t)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(g), 3))
				for range 12 {
					var data [][]byte
					for range rng.IntN(4) {
						data = append(data, noise(rng, rng.IntN(1<<rng.IntN(20))))
					}
					if rng.IntN(4) == 0 {
						data = append(data, noise(rng, rng.IntN(4<<20)))
					}
					if err := call(ctx, h, r, data...); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestBadLayouts(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		for _, sizes := range [][]int{{-1}, {10, -1}, {limit + 1}, {limit - 63, 1}, {limit, limit}, {-1, 5}, {math.MaxInt, math.MaxInt}} {
			var l Layout
			for _, n := range sizes {
				l.Add(n)
			}
			if _, err := h.Lease(within(t), l, Layout{}); err == nil {
				t.Errorf("a layout of %v is leased", sizes)
			}
			if _, err := h.Lease(within(t), Layout{}, l); err == nil {
				t.Errorf("a layout back of %v is leased", sizes)
			}
		}
		if n := regionsMade(h); n != 0 {
			t.Errorf("%d regions were made", n)
		}
	})
}

func TestLayout(t *testing.T) {
	var l Layout
	for i, want := range []Place{{0, 1}, {64, 64}, {128, 0}, {128, 65}, {256, 3}} {
		if got := l.Add(want.Bytes); got != want {
			t.Errorf("place %d: got %v, want %v", i, got, want)
		}
	}
	if l.size != 259 {
		t.Errorf("the layout has %d bytes, want 259", l.size)
	}
	const mib = 1 << 20
	for bytes, want := range map[int]int{1: mib, mib: mib, mib + 1: 2 * mib, 33 * mib: 64 * mib, 64 * mib: 64 * mib, 64*mib + 1: 128 * mib, 129 * mib: 192 * mib} {
		if got := sizeFor(bytes); got != want {
			t.Errorf("a layout of %d bytes gets a region of %d, want %d", bytes, got, want)
		}
	}
}

func TestBadSpans(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		ctx := within(t)
		l := lease(t, h, 1<<20, 1<<20)
		defer l.Release()
		in, out := l.pair.in.id, l.pair.out.id
		if _, err := r.In(ctx, &protocol.Span{Region: in, Bytes: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Out(ctx, &protocol.Span{Region: out, Offset: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*protocol.Span{
			nil,
			{Region: 0, Offset: 0, Bytes: 1},
			{Region: 0, Offset: 64},
			{Region: in, Offset: 1, Bytes: 1},
			{Region: in, Offset: 32},
			{Region: in, Offset: 64, Bytes: 1 << 20},
			{Region: in, Offset: 0, Bytes: 1<<20 + 1},
			{Region: in, Offset: 1<<20 + 64},
			{Region: in, Offset: 1 << 63, Bytes: 1 << 63},
			{Region: in, Offset: 64, Bytes: 1<<64 - 64},
			{Region: in, Offset: 1<<64 - 64, Bytes: 64},
		} {
			if b, err := r.In(ctx, s); err == nil {
				t.Errorf("In(%v) gave %d bytes", s, len(b))
			}
			if s.GetRegion() == in {
				s.Region = out
			}
			if b, err := r.Out(ctx, s); err == nil {
				t.Errorf("Out(%v) gave %d bytes", s, len(b))
			}
		}
	})
}

// TestReplacedStaysForItsCalls holds that what a call was given stays while it is under way.
func TestReplacedStaysForItsCalls(t *testing.T) {
	eachWay(t, func(t *testing.T, h *Host, r *Regions) {
		ctx := within(t)
		l := lease(t, h, 10, 0)
		leave := r.Enter()
		old, err := r.In(ctx, l.InSpan(Place{0, 10}))
		if err != nil {
			t.Fatal(err)
		}
		addr := address(old) + 3
		if region, offset, ok := r.Locate(addr); !ok || region != l.pair.in.id || offset != 3 {
			t.Errorf("Locate: region %d, offset %d, %v; want %d, 3, true", region, offset, ok, l.pair.in.id)
		}
		l.Release()
		l = lease(t, h, 2<<20, 0)
		later := r.Enter()
		if _, err := r.In(ctx, l.InSpan(Place{0, 10})); err != nil {
			t.Fatal(err)
		}
		afterwards := r.Enter()
		if _, _, ok := r.Locate(addr); !ok || old[3] != 0 {
			t.Error("a region was let go of under a call")
		}
		leave()
		leave()
		later()
		if _, _, ok := r.Locate(addr); ok {
			t.Error("a region is kept that only calls from before its replacement could see")
		}
		afterwards()
		if len(r.calls) != 0 {
			t.Errorf("calls under way: %v", r.calls)
		}
	})
}
