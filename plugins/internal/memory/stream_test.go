package memory

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// plugin replies to Read with the chunks of a test.
type plugin struct {
	*Regions
	chunks []*protocol.Chunk
	err    error
}

func (p *plugin) Read(_ *protocol.ReadRequest, s grpc.ServerStreamingServer[protocol.Chunk]) error {
	for _, c := range p.chunks {
		if err := s.Send(c); err != nil {
			return err
		}
	}
	return p.err
}

func TestInvalidChunks(t *testing.T) {
	const mib = 1 << 20
	full := func(region uint32, offset uint64, n int) *protocol.Chunk {
		return &protocol.Chunk{Region: region, Offset: offset, Data: bytes.Repeat([]byte{0xAA}, n)}
	}
	// Region 2 has two spans: 100 bytes at 64, and 1 MiB and 5 bytes at 192.
	good := []*protocol.Chunk{full(2, 64, 100), full(2, 192, mib), full(2, 192+mib, 5)}
	for _, c := range []struct {
		name   string
		chunks []*protocol.Chunk
		err    error
		want   string // in the error; "": no error
	}{
		{name: "right", chunks: good},
		{name: "right in small chunks", chunks: append([]*protocol.Chunk{full(2, 64, 1), full(2, 65, 99)}, good[1:]...)},
		{name: "nothing", want: "span 1 of 2: want bytes from offset 64 to 164, got the end of the stream"},
		{name: "too little", chunks: good[:2], want: "span 2 of 2: want bytes from offset 1048768 to 1048773, got the end"},
		{name: "too much", chunks: append(good[:3:3], full(2, 197+mib, 1)), want: "want the end of the stream, got a chunk of region 2, offset 1048773, 1 bytes"},
		{name: "other region", chunks: []*protocol.Chunk{full(1, 64, 100)}, want: "want a chunk of region 2, offset 64, 1 to 100 bytes, got one of region 1"},
		{name: "before the span", chunks: []*protocol.Chunk{full(2, 0, 100)}, want: "offset 64, 1 to 100 bytes, got one of region 2, offset 0"},
		{name: "a hole", chunks: []*protocol.Chunk{full(2, 64, 50), full(2, 115, 49)}, want: "got one of region 2, offset 115"},
		{name: "twice", chunks: []*protocol.Chunk{full(2, 64, 50), full(2, 64, 50)}, want: "offset 114, 1 to 50 bytes, got one of region 2, offset 64"},
		{name: "over the end of the span", chunks: []*protocol.Chunk{full(2, 64, 101)}, want: "1 to 100 bytes, got one of region 2, offset 64, 101 bytes"},
		{name: "empty", chunks: []*protocol.Chunk{full(2, 64, 0)}, want: "offset 64, 0 bytes"},
		{name: "offset that wraps", chunks: []*protocol.Chunk{full(2, 1<<64-64, 100)}, want: "offset 18446744073709551552"},
		{name: "over 1 MiB", chunks: []*protocol.Chunk{good[0], full(2, 192, mib+1)}, want: "got one of region 2, offset 192, 1048577 bytes"},
		{name: "larger than any chunk", chunks: []*protocol.Chunk{good[0], full(2, 192, 2*mib)}, want: "received message larger than max"},
		{name: "an error", chunks: good[:1], err: status.Error(codes.Internal, "no disk"), want: "no disk"},
		{name: "an error at the end", chunks: good, err: status.Error(codes.Internal, "no disk"), want: "no disk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := within(t)
			h := Streamed(clientOf(t, &plugin{Regions: FromStream(), chunks: c.chunks, err: c.err}))
			var in, out Layout
			in.Add(1)
			out.Add(64)
			x, y, none := out.Add(100), out.Add(mib+5), out.Add(0)
			pair, err := h.Acquire(ctx, in, out)
			if err != nil {
				t.Fatal(err)
			}
			err = pair.Receive(ctx, x, none, y)
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if c.want == "" && (err != nil || bytes.Count(pair.Out(x), []byte{0xAA}) != 100 || bytes.Count(pair.Out(y), []byte{0xAA}) != mib+5) {
				t.Errorf("right chunks: error %v, or not all bytes are here", err)
			}
			region := pair.regions.out.bytes
			if n := bytes.Count(region, []byte{0}); n < len(region)-100-mib-5 {
				t.Errorf("bytes outside of the spans were written: %d of %d are zero", n, len(region))
			}
		})
	}
}

// failing replies to Open and Write with errors.
type failing struct {
	*Regions
	open, write error
}

func (r *failing) Open(ctx context.Context, q *protocol.OpenRequest) (*protocol.OpenReply, error) {
	if r.open != nil {
		return nil, r.open
	}
	return r.Regions.Open(ctx, q)
}

func (r *failing) Write(grpc.ClientStreamingServer[protocol.Chunk, protocol.WriteReply]) error {
	return r.write
}

func TestPluginErrors(t *testing.T) {
	ctx := within(t)
	full := status.Error(codes.ResourceExhausted, "out of memory")
	r := &failing{Regions: FromStream(), open: full, write: full}
	h := Streamed(clientOf(t, r))
	var in Layout
	in.Add(5 << 20)
	if _, err := h.Acquire(ctx, in, Layout{}); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "opening region 1") {
		t.Errorf("Acquire: %v", err)
	}
	if len(h.free) != 0 {
		t.Errorf("a pair without regions is free")
	}
	r.open = nil
	pair, err := h.Acquire(ctx, in, Layout{}) // first removes region 1, which was not created
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Send(ctx); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "region 2 to the plugin") {
		t.Errorf("Send: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := pair.Send(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Send after its context: %v", err)
	}
	in.Add(100 << 20)
	if _, err := h.Acquire(cancelled, in, Layout{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Acquire after its context: %v", err)
	}
	if err := call(ctx, h, r.Regions); err != nil {
		t.Error(err)
	}
}

func TestStreamLimit(t *testing.T) {
	h, r := streamedPair(t)
	var in Layout
	in.Add(maxStreamed + 1)
	if _, err := h.Acquire(within(t), in, Layout{}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("Acquire over the limit: %v", err)
	}
	if err := call(within(t), h, r, []byte("after it")); err != nil {
		t.Error(err)
	}
}

func TestInvalidRequests(t *testing.T) {
	ctx := within(t)
	r := FromStream()
	client := clientOf(t, r)
	if _, err := client.Open(ctx, &protocol.OpenRequest{Region: 2, Bytes: 100}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []*protocol.OpenRequest{
		{},
		{Region: 0, Bytes: 10},
		{Region: 0, Bytes: 10, Replaces: 2},
		{Region: 1, Bytes: 10},
		{Region: 2, Bytes: 10},
		{Region: 3, Bytes: 0},
		{Region: 3, Bytes: 10, Replaces: 1},
		{Region: 3, Bytes: 10, Replaces: 3},
		{Region: 3, Bytes: maxStreamed - 99},
		{Region: 3, Bytes: maxStreamed + 1, Replaces: 2},
		{Region: 3, Bytes: 1<<64 - 1},
		{Region: 3, Bytes: 1 << 63},
	} {
		if _, err := client.Open(ctx, q); status.Code(err) != codes.InvalidArgument {
			t.Errorf("Open(%v): %v", q, err)
		}
	}
	for _, c := range []*protocol.Chunk{
		{Region: 0, Data: []byte{1}},
		{Region: 1, Data: []byte{1}},
		{Region: 3, Data: []byte{1}},
		{Region: 2},
		{Region: 2, Offset: 100, Data: []byte{1}},
		{Region: 2, Offset: 99, Data: []byte{1, 2}},
		{Region: 2, Offset: 1<<64 - 1, Data: []byte{1, 2}},
		{Region: 2, Data: make([]byte, maxChunk+1)},
	} {
		w, err := client.Write(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w.Send(c)
		if _, err := w.CloseAndRecv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("Write of %d bytes to region %d at %d: %v", len(c.Data), c.Region, c.Offset, err)
		}
	}
	for _, s := range []*protocol.Span{{Region: 1, Bytes: 1}, {Region: 3, Bytes: 1}, {Region: 2, Offset: 64, Bytes: 37}, {Region: 2, Offset: 1, Bytes: 1}} {
		c, err := client.Read(ctx, &protocol.ReadRequest{Spans: []*protocol.Span{{Region: 2, Bytes: 1}, s}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("Read of %v: %v", s, err)
		}
	}
	for _, b := range r.regions[2].bytes {
		if b != 0 {
			t.Fatal("a refused chunk was written")
		}
	}
	if _, err := client.Open(ctx, &protocol.OpenRequest{Replaces: 77}); err != nil {
		t.Errorf("removing a region that does not exist: %v", err)
	}
	if _, err := client.Open(ctx, &protocol.OpenRequest{Region: 3, Bytes: 50, Replaces: 2}); err != nil || len(r.regions) != 1 || r.bytes != 50 {
		t.Errorf("after replacing the only region there are %d regions with %d bytes; %v", len(r.regions), r.bytes, err)
	}
}

func TestTooManyRegions(t *testing.T) {
	r := FromStream()
	for id := uint32(1); id <= maxRegions; id++ {
		if _, err := r.Open(within(t), &protocol.OpenRequest{Region: id, Bytes: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Open(within(t), &protocol.OpenRequest{Region: maxRegions + 1, Bytes: 1}); err == nil {
		t.Error("more than maxRegions were created")
	}
	if b := r.regions[5].bytes; address(b)%alignment != 0 {
		t.Errorf("a region begins at %#x", address(b))
	}
}
