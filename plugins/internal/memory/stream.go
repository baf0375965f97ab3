package memory

import (
	"context"
	"fmt"
	"io"
	"reflect"

	"google.golang.org/grpc"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// Streamed returns a Host that copies bytes through the plugin's service Memory.
func Streamed(client protocol.MemoryClient) *Host { return newHost(stream{client}) }

// stream is the transport to a plugin without shared memory. Its replies are not trusted.
type stream struct{ client protocol.MemoryClient }

// replyLimit is the gRPC limit of one message: a chunk and its numbers.
var replyLimit = grpc.MaxCallRecvMsgSize(maxChunk + 64)

func (s stream) open(ctx context.Context, id uint32, _ direction, bytes int, replaces uint32) ([]byte, error) {
	if bytes > maxStreamed {
		return nil, fmt.Errorf("want a streamed region of at most %d bytes, got %d", maxStreamed, bytes)
	}
	if _, err := s.client.Open(ctx, &protocol.OpenRequest{Region: id, Bytes: uint64(bytes), Replaces: replaces}, replyLimit); err != nil {
		return nil, fmt.Errorf("opening region %d of %d bytes at the plugin: %w", id, bytes, failure(ctx, err))
	}
	return aligned(bytes), nil
}

func (s stream) remove(ctx context.Context, id uint32) error {
	if _, err := s.client.Open(ctx, &protocol.OpenRequest{Replaces: id}, replyLimit); err != nil {
		return fmt.Errorf("removing region %d at the plugin: %w", id, failure(ctx, err))
	}
	return nil
}

func (stream) unmap([]byte) {}

func (s stream) send(ctx context.Context, r region, bytes int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := s.write(ctx, r, bytes)
	if err != nil {
		return fmt.Errorf("writing %d bytes of region %d to the plugin: %w", bytes, r.id, failure(ctx, err))
	}
	return nil
}

func (s stream) write(ctx context.Context, r region, bytes int) error {
	w, err := s.client.Write(ctx, replyLimit)
	if err != nil {
		return err
	}
	for at := 0; at < bytes; at += maxChunk {
		err := w.Send(&protocol.Chunk{Region: r.id, Offset: uint64(at), Data: r.bytes[at:min(at+maxChunk, bytes)]})
		if err == io.EOF { // the plugin ended the stream; the reply has the reason
			break
		}
		if err != nil {
			return err
		}
	}
	_, err = w.CloseAndRecv()
	return err
}

func (s stream) receive(ctx context.Context, r region, spans []Span) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream also after an error
	defer cancel()
	q := &protocol.ReadRequest{}
	for _, p := range spans {
		if p.Bytes > 0 {
			q.Spans = append(q.Spans, spanMessage(r.id, p))
		}
	}
	if len(q.Spans) == 0 {
		return nil
	}
	err := s.read(ctx, r, q)
	if err != nil {
		return fmt.Errorf("reading region %d from the plugin: %w", r.id, failure(ctx, err))
	}
	return nil
}

func (s stream) read(ctx context.Context, r region, q *protocol.ReadRequest) error {
	chunks, err := s.client.Read(ctx, q, replyLimit)
	if err != nil {
		return err
	}
	for i, span := range q.Spans {
		for at, end := span.Offset, span.Offset+span.Bytes; at < end; {
			c, err := chunks.Recv()
			if err == io.EOF {
				return fmt.Errorf("span %d of %d: want bytes from offset %d to %d, got the end of the stream", i+1, len(q.Spans), at, end)
			}
			if err != nil {
				return err
			}
			n := uint64(len(c.GetData()))
			if c.GetRegion() != r.id || c.GetOffset() != at || n == 0 || n > min(maxChunk, end-at) {
				return fmt.Errorf("span %d of %d: want a chunk of region %d, offset %d, 1 to %d bytes, "+
					"got one of region %d, offset %d, %d bytes",
					i+1, len(q.Spans), r.id, at, min(maxChunk, end-at), c.GetRegion(), c.GetOffset(), n)
			}
			copy(r.bytes[at:at+n], c.GetData())
			at += n
		}
	}
	switch c, err := chunks.Recv(); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("want the end of the stream, got a chunk of region %d, offset %d, %d bytes",
			c.GetRegion(), c.GetOffset(), len(c.GetData()))
	default:
		return err
	}
}

// failure returns the cause of the context's end when it has ended, and err otherwise.
func failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// aligned allocates zeros whose address is a multiple of 64.
func aligned(bytes int) []byte {
	b := make([]byte, bytes+alignment-1)
	skip := int(-address(b) & (alignment - 1))
	return b[skip : skip+bytes : skip+bytes]
}

func address(b []byte) uintptr { return reflect.ValueOf(b).Pointer() }
