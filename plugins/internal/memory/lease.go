package memory

import (
	"context"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// A Lease is a pair of regions, toward the plugin and back, that one call has for itself. What lies in them at first is
// what an earlier call left. The places that its methods take are those of its layouts; others panic, as an index out of
// range does.
type Lease struct {
	host    *Host
	pair    *pair // nil: released, or without content
	in, out int   // bytes of the layouts
}

// In returns the bytes of a place of the layout toward the plugin, for the host to fill in, until Release.
func (l *Lease) In(p Place) []byte {
	if p.Bytes == 0 {
		return nil
	}
	return cut(l.pair.in.bytes[:l.in], p)
}

// Out returns the bytes of a place of the layout toward the host, until Release. They must not be written to.
func (l *Lease) Out(p Place) []byte {
	if p.Bytes == 0 {
		return nil
	}
	return cut(l.pair.out.bytes[:l.out], p)
}

func cut(b []byte, p Place) []byte {
	end := p.Offset + p.Bytes
	return b[:len(b):len(b)][p.Offset:end:end]
}

// InSpan names a place of the layout toward the plugin in a request.
func (l *Lease) InSpan(p Place) *protocol.Span {
	if p.Bytes == 0 {
		return &protocol.Span{}
	}
	return span(l.pair.in.id, p)
}

// OutSpan names a place of the layout toward the host in a request.
func (l *Lease) OutSpan(p Place) *protocol.Span {
	if p.Bytes == 0 {
		return &protocol.Span{}
	}
	return span(l.pair.out.id, p)
}

func span(id uint32, p Place) *protocol.Span {
	return &protocol.Span{Region: id, Offset: uint64(p.Offset), Bytes: uint64(p.Bytes)}
}

// Send brings what was written to In to the plugin.
func (l *Lease) Send(ctx context.Context) error {
	if l.in == 0 {
		return nil
	}
	return l.host.transport.send(ctx, l.pair.in, l.in)
}

// Receive brings what the plugin wrote to the given places to Out.
func (l *Lease) Receive(ctx context.Context, places ...Place) error {
	if l.out == 0 || len(places) == 0 {
		return nil
	}
	return l.host.transport.receive(ctx, l.pair.out, places)
}

// Release gives the regions back for the next call. Slices that In and Out returned must not be used any more: their
// memory may be gone. Releasing again does nothing.
func (l *Lease) Release() {
	l.host.mu.Lock()
	p := l.pair
	l.pair = nil
	l.host.mu.Unlock()
	if p != nil {
		l.host.give(p)
	}
}
