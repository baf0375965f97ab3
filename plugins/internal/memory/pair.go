package memory

import (
	"context"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// A Pair is the input region and the output region of one call, from [Host.Acquire] to Release. At
// first the regions contain what an earlier call left. The spans that its methods take are those of
// its layouts; other spans panic like an index that is out of range.
type Pair struct {
	host    *Host
	regions *regionPair // nil: released, or the layouts are empty
	in, out int         // sizes of the layouts
}

// In returns the bytes of a span of the input layout, which the host fills. They are valid until
// Release.
func (p *Pair) In(s Span) []byte {
	if s.Bytes == 0 {
		return nil
	}
	return slice(p.regions.in.bytes[:p.in], s)
}

// Out returns the bytes of a span of the output layout. They are read-only, and valid until
// Release.
func (p *Pair) Out(s Span) []byte {
	if s.Bytes == 0 {
		return nil
	}
	return slice(p.regions.out.bytes[:p.out], s)
}

func slice(b []byte, s Span) []byte {
	end := s.Offset + s.Bytes
	return b[:len(b):len(b)][s.Offset:end:end]
}

// InSpan returns a span of the input layout as a request names it.
func (p *Pair) InSpan(s Span) *protocol.Span {
	if s.Bytes == 0 {
		return &protocol.Span{}
	}
	return spanMessage(p.regions.in.id, s)
}

// OutSpan returns a span of the output layout as a request names it.
func (p *Pair) OutSpan(s Span) *protocol.Span {
	if s.Bytes == 0 {
		return &protocol.Span{}
	}
	return spanMessage(p.regions.out.id, s)
}

func spanMessage(id uint32, s Span) *protocol.Span {
	return &protocol.Span{Region: id, Offset: uint64(s.Offset), Bytes: uint64(s.Bytes)}
}

// Send copies the input region to the plugin. With shared memory it does nothing.
func (p *Pair) Send(ctx context.Context) error {
	if p.in == 0 {
		return nil
	}
	return p.host.transport.send(ctx, p.regions.in, p.in)
}

// Receive copies spans of the output region to the host. With shared memory it does nothing.
func (p *Pair) Receive(ctx context.Context, spans ...Span) error {
	if p.out == 0 || len(spans) == 0 {
		return nil
	}
	return p.host.transport.receive(ctx, p.regions.out, spans)
}

// Release returns the regions to the host for the next call. The slices that In and Out returned
// are then invalid: their memory may be unmapped. A second Release does nothing.
func (p *Pair) Release() {
	p.host.mu.Lock()
	regions := p.regions
	p.regions = nil
	p.host.mu.Unlock()
	if regions != nil {
		p.host.put(regions)
	}
}
