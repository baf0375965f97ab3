package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
)

// maxFree is the number of free pairs of regions that a Host keeps.
const maxFree = 4

// A region is a region as one side sees it.
type region struct {
	id        uint32 // 0: no region
	direction direction
	bytes     []byte
}

// A regionPair has the regions of one call. Each of the two is missing until a call needs it.
type regionPair struct{ in, out region }

// A transport creates regions at the plugin and copies their bytes.
type transport interface {
	// open creates a region on both sides. The plugin unmaps the region that it replaces (0: none).
	open(ctx context.Context, id uint32, d direction, bytes int, replaces uint32) ([]byte, error)
	// remove makes the plugin unmap a region, if it has that region.
	remove(ctx context.Context, id uint32) error
	// unmap frees the host's side of a region.
	unmap(b []byte)
	// send copies the first bytes of a region to the plugin.
	send(ctx context.Context, r region, bytes int) error
	// receive copies spans of a region to the host.
	receive(ctx context.Context, r region, spans []Span) error
}

// Host is the host's side of the memory of one plugin process: a pool of pairs of regions. Its
// methods are safe for concurrent use.
type Host struct {
	transport transport

	// creating is held while regions are created or removed, so that their numbers reach the plugin
	// in order.
	creating chan struct{}
	last     uint32 // number of the newest region; guarded by creating

	mu       sync.Mutex
	err      error         // returned by Acquire
	free     []*regionPair // the most recently used one is the last
	unneeded []uint32      // regions that the plugin can unmap
}

func newHost(t transport) *Host { return &Host{transport: t, creating: make(chan struct{}, 1)} }

// Close unmaps the free regions. Regions in use are unmapped when they are released. Acquire then
// returns an error. The socket stays open, because the plugin exits when it is closed.
func (h *Host) Close() error {
	h.mu.Lock()
	free := h.free
	h.free = nil
	if h.err == nil {
		h.err = errors.New("the host's regions are closed")
	}
	h.mu.Unlock()
	for _, p := range free {
		h.unmap(p)
	}
	return nil
}

// Acquire returns regions in which both layouts fit, for one call. It reuses the most recently used
// free pair that is large enough. When none is, it enlarges a free pair or creates one, which takes
// a message to the plugin; ctx limits the time of that. Empty layouts need no region.
func (h *Host) Acquire(ctx context.Context, in, out Layout) (*Pair, error) {
	if in.size < 0 || out.size < 0 {
		return nil, fmt.Errorf("want layouts of at most %d bytes and spans of 0 bytes or more, got another size", maxBytes)
	}
	p, ready, err := h.get(in.size, out.size)
	if err != nil {
		return nil, err
	}
	if !ready {
		if err := h.prepare(ctx, p, in.size, out.size); err != nil {
			h.put(p)
			return nil, err
		}
	}
	return &Pair{host: h, regions: p, in: in.size, out: out.size}, nil
}

// get returns a pair, nil when both sizes are 0, and reports whether it can be used without
// prepare.
func (h *Host) get(in, out int) (p *regionPair, ready bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil || in == 0 && out == 0 {
		return nil, true, h.err
	}
	for i := len(h.free) - 1; i >= 0; i-- {
		if p := h.free[i]; in <= len(p.in.bytes) && out <= len(p.out.bytes) {
			h.free = slices.Delete(h.free, i, i+1)
			return p, len(h.unneeded) == 0, nil
		}
	}
	if n := len(h.free); n > 0 {
		p = h.free[n-1]
		h.free = slices.Delete(h.free, n-1, n)
		return p, false, nil
	}
	return &regionPair{}, false, nil
}

// put adds a pair to the free ones. When there are too many, the least recently used one is
// removed.
func (h *Host) put(p *regionPair) {
	h.mu.Lock()
	if h.err == nil && (p.in.id != 0 || p.out.id != 0) {
		h.free = append(h.free, p)
		p = nil
		if len(h.free) > maxFree {
			p = h.free[0]
			h.free = slices.Delete(h.free, 0, 1)
			h.removeLater(p.in.id, p.out.id)
		}
	}
	h.mu.Unlock()
	if p != nil {
		h.unmap(p)
	}
}

// removeLater records regions that the plugin can unmap. The caller holds mu.
func (h *Host) removeLater(ids ...uint32) {
	for _, id := range ids {
		if id != 0 {
			h.unneeded = append(h.unneeded, id)
		}
	}
}

func (h *Host) unmap(p *regionPair) {
	h.transport.unmap(p.in.bytes)
	h.transport.unmap(p.out.bytes)
}

// prepare removes the regions that are not needed and makes the regions of a pair large enough.
func (h *Host) prepare(ctx context.Context, p *regionPair, in, out int) error {
	select {
	case h.creating <- struct{}{}:
		defer func() { <-h.creating }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to create a region: %w", context.Cause(ctx))
	}
	h.mu.Lock()
	unneeded := h.unneeded
	h.unneeded = nil
	h.mu.Unlock()
	for i, id := range unneeded {
		if err := h.transport.remove(ctx, id); err != nil {
			h.mu.Lock()
			h.removeLater(unneeded[i:]...)
			h.mu.Unlock()
			return err
		}
	}
	if err := h.enlarge(ctx, &p.in, input, in); err != nil {
		return err
	}
	return h.enlarge(ctx, &p.out, output, out)
}

// enlarge replaces a region that is too small. After an error the plugin may have the old or the
// new region, and both are removed.
func (h *Host) enlarge(ctx context.Context, r *region, d direction, bytes int) error {
	if bytes <= len(r.bytes) {
		return nil
	}
	if h.last == math.MaxUint32 {
		return errors.New("all numbers of regions are used: restart the plugin")
	}
	h.last++
	old := *r
	b, err := h.transport.open(ctx, h.last, d, regionSize(bytes), old.id)
	h.transport.unmap(old.bytes)
	if err != nil {
		*r = region{}
		h.mu.Lock()
		h.removeLater(old.id, h.last)
		h.mu.Unlock()
		return err
	}
	*r = region{id: h.last, direction: d, bytes: b}
	return nil
}
