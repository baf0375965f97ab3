package memory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// transports connect a host with regions. On Linux there is also shared memory.
var transports = map[string]func(t testing.TB) (*Host, *Regions){"streamed": streamedPair}

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

func eachTransport(t *testing.T, f func(t *testing.T, h *Host, r *Regions)) {
	for name, connect := range transports {
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

// call sends data to a plugin that returns the complement of each byte, with spans in reverse
// order, and compares.
func call(ctx context.Context, h *Host, r *Regions, data ...[]byte) error {
	var in, out Layout
	sent, back := make([]Span, len(data)), make([]Span, len(data))
	for i := range data {
		sent[i], back[len(data)-1-i] = in.Add(len(data[i])), out.Add(len(data[len(data)-1-i]))
	}
	pair, err := h.Acquire(ctx, in, out)
	if err != nil {
		return err
	}
	defer pair.Release()
	for i, d := range data {
		if b := pair.In(sent[i]); len(b) != len(d) || cap(b) != len(d) {
			return fmt.Errorf("span %d has %d bytes, capacity %d, want %d", i, len(b), cap(b), len(d))
		}
		copy(pair.In(sent[i]), d)
	}
	if err := pair.Send(ctx); err != nil {
		return err
	}
	if err := complement(ctx, r, data, func(i int) (*protocol.Span, *protocol.Span) { return pair.InSpan(sent[i]), pair.OutSpan(back[i]) }); err != nil {
		return err
	}
	if err := pair.Receive(ctx, back...); err != nil {
		return err
	}
	for i, d := range data {
		got := pair.Out(back[i])
		if len(got) != len(d) || cap(got) != len(d) {
			return fmt.Errorf("span %d of the output has %d bytes, capacity %d, want %d", i, len(got), cap(got), len(d))
		}
		for j := range got {
			if got[j] != ^d[j] {
				return fmt.Errorf("span %d, byte %d: got %#x, want %#x", i, j, got[j], ^d[j])
			}
		}
	}
	return nil
}

// complement is the plugin's side of a call.
func complement(ctx context.Context, r *Regions, data [][]byte, spans func(i int) (in, out *protocol.Span)) error {
	defer r.StartCall()()
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
			return fmt.Errorf("span %d: the plugin got %d bytes that were not sent, and %d bytes of output", i, len(x), len(y))
		}
		for j := range x {
			y[j] = ^x[j]
		}
	}
	return nil
}

func TestRoundTrip(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
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
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
		ctx := within(t)
		var in, out, none Layout
		x, y := in.Add(5), out.Add(6)
		for _, layouts := range [][2]Layout{{in, none}, {none, out}, {in, out}} {
			pair, err := h.Acquire(ctx, layouts[0], layouts[1])
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(pair.Send(ctx), pair.Receive(ctx)); err != nil {
				t.Fatal(err)
			}
			if layouts[0] == in {
				if _, err := r.In(ctx, pair.InSpan(x)); err != nil {
					t.Error(err)
				}
			}
			if layouts[1] == out {
				if _, err := r.Out(ctx, pair.OutSpan(y)); err != nil {
					t.Error(err)
				}
			}
			pair.Release()
		}
		if n := regionsCreated(h); n != 2 {
			t.Errorf("three pairs, one after the other, created %d regions, want 2", n)
		}
	})
}

func regionsCreated(h *Host) int {
	h.creating <- struct{}{}
	defer func() { <-h.creating }()
	return int(h.last)
}

func acquire(t *testing.T, h *Host, in, out int) *Pair {
	t.Helper()
	var i, o Layout
	i.Add(in)
	o.Add(out)
	pair, err := h.Acquire(within(t), i, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pair.Release)
	return pair
}

func TestEmptyLayouts(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
		ctx := within(t)
		var in, out Layout
		x, y := in.Add(0), out.Add(0)
		pair, err := h.Acquire(ctx, in, out)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(pair.Send(ctx), pair.Receive(ctx, y)); err != nil {
			t.Error(err)
		}
		got, err := r.In(ctx, pair.InSpan(x))
		back, err2 := r.Out(ctx, pair.OutSpan(y))
		if err := errors.Join(err, err2); err != nil || len(pair.In(x))+len(pair.Out(y))+len(got)+len(back) != 0 {
			t.Errorf("an empty span has %d, %d, %d, %d bytes, error %v", len(pair.In(x)), len(pair.Out(y)), len(got), len(back), err)
		}
		pair.Release()
		if n := regionsCreated(h); n != 0 {
			t.Errorf("%d regions were created", n)
		}
	})
}

func TestReuse(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
		a, b := acquire(t, h, 100, 100), acquire(t, h, 100, 100)
		first, second := a.regions, b.regions
		if first.in.id == second.in.id || first.out.id == second.out.id {
			t.Fatalf("two pairs share a region: %d %d, %d %d", first.in.id, first.out.id, second.in.id, second.out.id)
		}
		a.Release()
		b.Release()
		if c := acquire(t, h, 1<<20, 1); c.regions != second {
			t.Error("the pair used last is not the one reused")
		} else {
			c.Release()
		}
		big := acquire(t, h, 1<<20+1, 1)
		if big.regions != second || big.regions.in.id != 5 || big.regions.out.id != 4 {
			t.Errorf("enlarging the pair gave regions %d and %d, want 5 (new) and 4", big.regions.in.id, big.regions.out.id)
		}
		if _, err := r.In(within(t), big.InSpan(Span{0, 1})); err != nil {
			t.Error(err)
		}
		if _, err := r.In(within(t), &protocol.Span{Region: 3, Bytes: 1}); err == nil {
			t.Error("the region that was replaced still exists")
		}
		if small := acquire(t, h, 1, 1); small.regions != first {
			t.Error("the free pair is not the one reused")
		}
	})
}

func TestFreePairsAreRemoved(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
		var pairs []*Pair
		for range maxFree + 3 {
			pairs = append(pairs, acquire(t, h, 1, 1))
		}
		for _, pair := range pairs {
			pair.Release()
		}
		last := acquire(t, h, 1<<20+1, 1) // its new region arrives after the removals
		if _, err := r.In(within(t), last.InSpan(Span{0, 1})); err != nil {
			t.Fatal(err)
		}
		last.Release()
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := len(r.regions); n != 2*maxFree || len(h.free) != maxFree || len(r.removed) != 0 {
			t.Errorf("after %d pairs at a time the plugin has %d regions and %d removed ones, the host %d pairs; want %d, 0, %d",
				maxFree+3, n, len(r.removed), len(h.free), 2*maxFree, maxFree)
		}
		if want := (2*maxFree + 1) << 20; r.bytes != want {
			t.Errorf("the plugin counts %d bytes, want %d", r.bytes, want)
		}
	})
}

func TestCloseAndRelease(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
		acquire(t, h, 1, 1).Release()
		pair := acquire(t, h, 100, 100)
		if err := errors.Join(h.Close(), h.Close()); err != nil {
			t.Fatal(err)
		}
		x := pair.In(Span{64, 36})
		x[35] = 7 // a pair is usable after Close
		pair.Release()
		pair.Release()
		if _, err := h.Acquire(within(t), Layout{}, Layout{}); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("Acquire after Close: %v", err)
		}
		if len(h.free) != 0 {
			t.Errorf("%d pairs are free after Close", len(h.free))
		}
	})
}

func TestReleaseTwice(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
		pair := acquire(t, h, 1, 1)
		pair.Release()
		pair.Release()
		a, b := acquire(t, h, 1, 1), acquire(t, h, 1, 1)
		if a.regions == b.regions {
			t.Error("a pair that was released twice is used twice")
		}
	})
}

func TestConcurrentCalls(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
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
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
		for _, sizes := range [][]int{{-1}, {10, -1}, {maxBytes + 1}, {maxBytes - 63, 1}, {maxBytes, maxBytes}, {-1, 5}, {math.MaxInt, math.MaxInt}} {
			var l Layout
			for _, n := range sizes {
				l.Add(n)
			}
			if _, err := h.Acquire(within(t), l, Layout{}); err == nil {
				t.Errorf("an input layout of %v is accepted", sizes)
			}
			if _, err := h.Acquire(within(t), Layout{}, l); err == nil {
				t.Errorf("an output layout of %v is accepted", sizes)
			}
		}
		if n := regionsCreated(h); n != 0 {
			t.Errorf("%d regions were created", n)
		}
	})
}

func TestLayout(t *testing.T) {
	var l Layout
	for i, want := range []Span{{0, 1}, {64, 64}, {128, 0}, {128, 65}, {256, 3}} {
		if got := l.Add(want.Bytes); got != want {
			t.Errorf("span %d: got %v, want %v", i, got, want)
		}
	}
	if l.size != 259 {
		t.Errorf("the layout has %d bytes, want 259", l.size)
	}
	const mib = 1 << 20
	for bytes, want := range map[int]int{1: mib, mib: mib, mib + 1: 2 * mib, 33 * mib: 64 * mib, 64 * mib: 64 * mib, 64*mib + 1: 128 * mib, 129 * mib: 192 * mib} {
		if got := regionSize(bytes); got != want {
			t.Errorf("a layout of %d bytes gets a region of %d, want %d", bytes, got, want)
		}
	}
}

func TestBadSpans(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
		ctx := within(t)
		pair := acquire(t, h, 1<<20, 1<<20)
		defer pair.Release()
		in, out := pair.regions.in.id, pair.regions.out.id
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

// TestReplacedDuringCall holds that a replaced region stays mapped while a call that uses it is
// running.
func TestReplacedDuringCall(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *Host, r *Regions) {
		ctx := within(t)
		pair := acquire(t, h, 10, 0)
		endCall := r.StartCall()
		old, err := r.In(ctx, pair.InSpan(Span{0, 10}))
		if err != nil {
			t.Fatal(err)
		}
		addr := address(old) + 3
		if region, offset, ok := locate(r, addr); !ok || region != pair.regions.in.id || offset != 3 {
			t.Errorf("the address is in region %d, offset %d, %v; want %d, 3, true", region, offset, ok, pair.regions.in.id)
		}
		pair.Release()
		pair = acquire(t, h, 2<<20, 0)
		later := r.StartCall()
		if _, err := r.In(ctx, pair.InSpan(Span{0, 10})); err != nil {
			t.Fatal(err)
		}
		afterwards := r.StartCall()
		if _, _, ok := locate(r, addr); !ok || old[3] != 0 {
			t.Error("a region was unmapped during a call")
		}
		endCall()
		endCall()
		later()
		if _, _, ok := locate(r, addr); ok {
			t.Error("a region is mapped although all calls from before its replacement have ended")
		}
		afterwards()
		if len(r.calls) != 0 {
			t.Errorf("running calls: %v", r.calls)
		}
	})
}

// locate returns the region that an address lies in, and its offset there.
func locate(r *Regions, addr uintptr) (id uint32, offset int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Collect(maps.Values(r.regions))
	for _, g := range r.removed {
		all = append(all, g.region)
	}
	for _, g := range all {
		if start := address(g.bytes); addr >= start && addr-start < uintptr(len(g.bytes)) {
			return g.id, int(addr - start), true
		}
	}
	return 0, 0, false
}
