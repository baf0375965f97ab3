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

// streamLimit is how many bytes of regions of its own a plugin has at most: 16 GiB.
const streamLimit = min(16<<30, math.MaxInt/2)

// FromStream returns regions of the plugin's own, a server of the protocol's service Memory.
func FromStream() *Regions {
	r := newRegions(streamLimit, func([]byte) {})
	r.streamed = true
	return r
}

// Open implements protocol.MemoryServer.
func (r *Regions) Open(_ context.Context, q *protocol.OpenRequest) (*protocol.OpenReply, error) {
	if err := r.serves(); err != nil {
		return nil, err
	}
	if q.GetRegion() == 0 && q.GetBytes() == 0 && q.GetReplaces() != 0 {
		r.drop(q.GetReplaces())
		return &protocol.OpenReply{}, nil
	}
	err := r.add(q.GetRegion(), either, q.GetBytes(), q.GetReplaces(), func(bytes int) ([]byte, error) { return aligned(bytes), nil })
	if err != nil {
		return nil, refused(err)
	}
	return &protocol.OpenReply{}, nil
}

// Write implements protocol.MemoryServer.
func (r *Regions) Write(s grpc.ClientStreamingServer[protocol.Chunk, protocol.WriteReply]) error {
	if err := r.serves(); err != nil {
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
		if n := len(c.GetData()); n == 0 || n > chunk {
			return status.Errorf(codes.InvalidArgument, "memory: expected a chunk of 1 to %d bytes, got %d", chunk, n)
		}
		reg, err := r.await(s.Context(), c.GetRegion())
		if err != nil {
			return refused(err)
		}
		b, err := reg.slice(c.GetOffset(), uint64(len(c.GetData())))
		if err != nil {
			return refused(err)
		}
		copy(b, c.GetData())
	}
}

// Read implements protocol.MemoryServer.
func (r *Regions) Read(q *protocol.ReadRequest, s grpc.ServerStreamingServer[protocol.Chunk]) error {
	if err := r.serves(); err != nil {
		return err
	}
	contents := make([][]byte, len(q.GetSpans()))
	for i, span := range q.GetSpans() {
		b, err := r.Out(s.Context(), span)
		if err != nil {
			return refused(err)
		}
		contents[i] = b
	}
	for i, b := range contents {
		span := q.GetSpans()[i]
		for at := 0; at < len(b); at += chunk {
			c := &protocol.Chunk{Region: span.GetRegion(), Offset: span.GetOffset() + uint64(at), Data: b[at:min(at+chunk, len(b))]}
			if err := s.Send(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Regions) serves() error {
	if !r.streamed {
		return status.Error(codes.Unimplemented, "memory: this plugin takes shared memory")
	}
	return nil
}

func refused(err error) error { return status.Error(codes.InvalidArgument, err.Error()) }
