// Package memory moves tensors between a host and its plugin in regions: long runs of bytes that are made once and reused.
//
// On Linux a region is shared memory, a memfd sealed in size that the host makes and hands over once through the plugin's
// standard input. A region toward the plugin is sealed against any further writable mapping, so that the plugin cannot
// change what it was given; what comes back lies in a region of its own. Elsewhere, and for plugins that choose so, both
// sides have regions of their own and the service Memory of the protocol copies bytes between them. Which of the two it
// is nobody else needs to know.
//
// Host:
//
//	var in, out memory.Layout
//	x, y := in.Add(len(data)), out.Add(64)
//	lease, err := host.Lease(ctx, in, out)   // waits for nothing, reuses a free pair of regions or makes one
//	defer lease.Release()                    // only once the plugin is done with it
//	copy(lease.In(x), data)
//	err = lease.Send(ctx)
//	… a call that names lease.InSpan(x) and lease.OutSpan(y) …
//	err = lease.Receive(ctx, y)
//	result := lease.Out(y)                   // the plugin may still write to it: copy before checking
//
// Plugin:
//
//	data, err := regions.In(ctx, span)       // read-only; waits for a region that is still on its way
//	room, err := regions.Out(ctx, span)
package memory

import (
	"context"
	"net"

	protocol "github.com/compressaware/cram/plugins/protocol/v1"
)

// A Place is where a Layout put something.
type Place struct{ Offset, Bytes int }

// A Layout lays things out one after the other, each at a multiple of 64.
type Layout struct{ size int }

// Add makes room for a number of bytes.
func (l *Layout) Add(bytes int) Place { panic("stub") }

// Host is the host's side of the memory that it shares with one plugin process.
type Host struct{}

// Shared returns a Host that hands shared memory over through the socket.
func Shared(socket *net.UnixConn) *Host { panic("stub") }

// Streamed returns a Host that copies through the plugin's service Memory.
func Streamed(client protocol.MemoryClient) *Host { panic("stub") }

// Close lets go of all regions, also leased ones. Leases may still be released.
func (h *Host) Close() error { panic("stub") }

// Lease returns regions in which both layouts fit, for one call.
func (h *Host) Lease(ctx context.Context, in, out Layout) (*Lease, error) { panic("stub") }

// A Lease is a pair of regions, toward the plugin and back, that one call has for itself.
type Lease struct{}

// In returns the bytes of a place of the layout toward the plugin, for the host to fill in.
func (l *Lease) In(p Place) []byte { panic("stub") }

// Out returns the bytes of a place of the layout toward the host.
func (l *Lease) Out(p Place) []byte { panic("stub") }

// InSpan names a place of the layout toward the plugin in a request.
func (l *Lease) InSpan(p Place) *protocol.Span { panic("stub") }

// OutSpan names a place of the layout toward the host in a request.
func (l *Lease) OutSpan(p Place) *protocol.Span { panic("stub") }

// Send brings what was written to In to the plugin.
func (l *Lease) Send(ctx context.Context) error { panic("stub") }

// Receive brings what the plugin wrote to the given places to Out.
func (l *Lease) Receive(ctx context.Context, places ...Place) error { panic("stub") }

// Release gives the regions back for the next call.
func (l *Lease) Release() { panic("stub") }

// Regions is the plugin's side: the regions that came from the host.
type Regions struct{ protocol.UnimplementedMemoryServer }

// FromSocket returns the regions that a host hands over through the socket. gone is called once when the socket ends,
// which is when the host has gone.
func FromSocket(socket *net.UnixConn, gone func()) *Regions { panic("stub") }

// FromStream returns regions of the plugin's own, a server of the protocol's service Memory.
func FromStream() *Regions { panic("stub") }

// In returns the bytes that a span names in a region toward the plugin.
func (r *Regions) In(ctx context.Context, s *protocol.Span) ([]byte, error) { panic("stub") }

// Out returns the bytes that a span names in a region toward the host.
func (r *Regions) Out(ctx context.Context, s *protocol.Span) ([]byte, error) { panic("stub") }

// Enter marks the beginning of a call; leave its end. A region that was replaced is let go of when no call is under way
// that began before its replacement came.
func (r *Regions) Enter() (leave func()) { panic("stub") }
