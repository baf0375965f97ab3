package memory

import (
	"context"
	"io"
	"math"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// maxStreamed is the total size of the regions that a plugin without shared memory allocates: 16
// GiB.
const maxStreamed = min(16<<30, math.MaxInt/2)

// FromStream returns regions that the plugin allocates itself. They serve the protocol's service
// Memory.
func FromStream() *Regions {
	r := newRegions(maxStreamed, func([]byte) {})
	r.streamed = true
	return r
}

// Open implements protocol.MemoryServer.
func (r *Regions) Open(_ context.Context, q *protocol.OpenRequest) (*protocol.OpenReply, error) {
	if err := r.requireStreamed(); err != nil {
		return nil, err
	}
	if q.GetRegion() == 0 && q.GetBytes() == 0 && q.GetReplaces() != 0 {
		r.remove(q.GetReplaces())
		return &protocol.OpenReply{}, nil
	}
	err := r.add(q.GetRegion(), streamed, q.GetBytes(), q.GetReplaces(), func(bytes int) ([]byte, error) { return aligned(bytes), nil })
	if err != nil {
		return nil, invalid(err)
	}
	return &protocol.OpenReply{}, nil
}

// Write implements protocol.MemoryServer.
func (r *Regions) Write(s grpc.ClientStreamingServer[protocol.Chunk, protocol.WriteReply]) error {
	if err := r.requireStreamed(); err != nil {
		return err
	}
	for {
		c, err := s.Recv()
		if err == io.EOF {
			return s.SendAndClose(&protocol.WriteReply{})
		}
		if err != nil {
			return err
		}
		if n := len(c.GetData()); n == 0 || n > maxChunk {
			return status.Errorf(codes.InvalidArgument, "want a chunk of 1 to %d bytes, got %d", maxChunk, n)
		}
		reg, err := r.wait(s.Context(), c.GetRegion())
		if err != nil {
			return invalid(err)
		}
		b, err := reg.slice(c.GetOffset(), uint64(len(c.GetData())))
		if err != nil {
			return invalid(err)
		}
		copy(b, c.GetData())
	}
}

// Read implements protocol.MemoryServer.
func (r *Regions) Read(q *protocol.ReadRequest, s grpc.ServerStreamingServer[protocol.Chunk]) error {
	if err := r.requireStreamed(); err != nil {
		return err
	}
	contents := make([][]byte, len(q.GetSpans()))
	for i, span := range q.GetSpans() {
		b, err := r.Out(s.Context(), span)
		if err != nil {
			return invalid(err)
		}
		contents[i] = b
	}
	for i, b := range contents {
		span := q.GetSpans()[i]
		for at := 0; at < len(b); at += maxChunk {
			c := &protocol.Chunk{Region: span.GetRegion(), Offset: span.GetOffset() + uint64(at), Data: b[at:min(at+maxChunk, len(b))]}
			if err := s.Send(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Regions) requireStreamed() error {
	if !r.streamed {
		return status.Error(codes.Unimplemented, "this plugin uses shared memory")
	}
	return nil
}

func invalid(err error) error { return status.Error(codes.InvalidArgument, err.Error()) }
