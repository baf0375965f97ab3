package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
)

// idle is how many free pairs of regions a Host keeps.
const idle = 4

// A region is one side's view of it.
type region struct {
	id     uint32 // 0: none
	toward direction
	bytes  []byte
}

// A pair is what one call needs: a region toward the plugin and one back, either of them absent until it is needed.
type pair struct{ in, out region }

// A transport brings regions, and what is in them, to the plugin and back.
type transport interface {
	// open makes a region here and at the plugin, which lets go of the one that it replaces (0: none).
	open(ctx context.Context, id uint32, toward direction, bytes int, replaces uint32) ([]byte, error)
	// drop has the plugin let go of a region if it has it.
	drop(ctx context.Context, id uint32) error
	// free lets go of the host's side of a region.
	free(b []byte)
	// send brings the first bytes of a region to the plugin.
	send(ctx context.Context, r region, bytes int) error
	// receive brings places of a region to the host.
	receive(ctx context.Context, r region, places []Place) error
}

// Host is the host's side of the memory that it shares with one plugin process. Its methods are safe for concurrent use.
type Host struct {
	transport transport

	// making is held by the one who makes regions or lets go of them, so that their numbers reach the plugin in order.
	making chan struct{}
	last   uint32 // number of the region made last; guarded by making

	mu      sync.Mutex
	err     error    // why there are no more leases
	free    []*pair  // the most recently used at the end
	surplus []uint32 // regions that the plugin is to let go of
}

func newHost(t transport) *Host { return &Host{transport: t, making: make(chan struct{}, 1)} }

// Close lets go of the regions that are free, and of leased ones once they are released. The socket stays open: its
// end is the plugin's end. There are no leases any more.
func (h *Host) Close() error {
	h.mu.Lock()
	free := h.free
	h.free = nil
	if h.err == nil {
		h.err = errors.New("memory: the host's regions are closed")
	}
	h.mu.Unlock()
	for _, p := range free {
		h.unmap(p)
	}
	return nil
}

// Lease returns regions in which both layouts fit, for one call. It takes the free pair that was used last among those
// that are large enough, else enlarges one or makes another; only then does it need the plugin, and ctx bounds that.
// Layouts without content need no region.
func (h *Host) Lease(ctx context.Context, in, out Layout) (*Lease, error) {
	if in.size < 0 || out.size < 0 {
		return nil, fmt.Errorf("memory: expected layouts of at most %d bytes and places of none below zero", limit)
	}
	p, ready, err := h.take(in.size, out.size)
	if err != nil {
		return nil, err
	}
	if !ready {
		if err := h.prepare(ctx, p, in.size, out.size); err != nil {
			h.give(p)
			return nil, err
		}
	}
	return &Lease{host: h, pair: p, in: in.size, out: out.size}, nil
}

// take returns a pair, nil where none is needed, and whether it can be used as it is.
func (h *Host) take(in, out int) (p *pair, ready bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil || in == 0 && out == 0 {
		return nil, true, h.err
	}
	fits := func(p *pair) bool { return in <= len(p.in.bytes) && out <= len(p.out.bytes) }
	for i := len(h.free) - 1; i >= 0; i-- {
		if p := h.free[i]; fits(p) {
			h.free = slices.Delete(h.free, i, i+1)
			return p, len(h.surplus) == 0, nil
		}
	}
	if n := len(h.free); n > 0 {
		p = h.free[n-1]
		h.free = slices.Delete(h.free, n-1, n)
		return p, false, nil
	}
	return &pair{}, false, nil
}

// give takes a pair back, and lets go of the one that was free longest where there are too many.
func (h *Host) give(p *pair) {
	h.mu.Lock()
	if h.err == nil && (p.in.id != 0 || p.out.id != 0) {
		h.free = append(h.free, p)
		p = nil
		if len(h.free) > idle {
			p = h.free[0]
			h.free = slices.Delete(h.free, 0, 1)
			h.forget(p.in.id, p.out.id)
		}
	}
	h.mu.Unlock()
	if p != nil {
		h.unmap(p)
	}
}

// forget notes regions for the plugin to let go of; mu is held.
func (h *Host) forget(ids ...uint32) {
	for _, id := range ids {
		if id != 0 {
			h.surplus = append(h.surplus, id)
		}
	}
}

func (h *Host) unmap(p *pair) {
	h.transport.free(p.in.bytes)
	h.transport.free(p.out.bytes)
}

// prepare has the plugin let go of what is surplus, and makes the regions of a pair large enough.
func (h *Host) prepare(ctx context.Context, p *pair, in, out int) error {
	select {
	case h.making <- struct{}{}:
		defer func() { <-h.making }()
	case <-ctx.Done():
		return fmt.Errorf("memory: waiting to make a region: %w", context.Cause(ctx))
	}
	h.mu.Lock()
	surplus := h.surplus
	h.surplus = nil
	h.mu.Unlock()
	for i, id := range surplus {
		if err := h.transport.drop(ctx, id); err != nil {
			h.mu.Lock()
			h.forget(surplus[i:]...)
			h.mu.Unlock()
			return err
		}
	}
	if err := h.enlarge(ctx, &p.in, towardPlugin, in); err != nil {
		return err
	}
	return h.enlarge(ctx, &p.out, towardHost, out)
}

// enlarge replaces a region that is too small. After an error nobody knows which of the two the plugin has: both go.
func (h *Host) enlarge(ctx context.Context, r *region, toward direction, bytes int) error {
	if bytes <= len(r.bytes) {
		return nil
	}
	if h.last == math.MaxUint32 {
		return errors.New("memory: all numbers of regions are used up: start the plugin anew")
	}
	h.last++
	old := *r
	b, err := h.transport.open(ctx, h.last, toward, sizeFor(bytes), old.id)
	h.transport.free(old.bytes)
	if err != nil {
		*r = region{}
		h.mu.Lock()
		h.forget(old.id, h.last)
		h.mu.Unlock()
		return err
	}
	*r = region{id: h.last, toward: toward, bytes: b}
	return nil
}
