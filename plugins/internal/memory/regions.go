package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// maxRegions is the number of regions that a plugin has at a time.
const maxRegions = 1024

// Regions is the plugin's side of the memory: the regions that the host created. Its methods are
// safe for concurrent use.
type Regions struct {
	protocol.UnimplementedMemoryServer
	streamed bool         // the regions are the plugin's own copies
	maxBytes int          // of all regions together
	unmap    func([]byte) // frees the memory of a region

	mu      sync.Mutex
	regions map[uint32]region
	bytes   int           // of all regions
	last    uint32        // the greatest number so far
	changed chan struct{} // closed when last or err changes
	err     error         // why no more regions arrive

	// A removed region stays mapped while a call is running that may use it. Both a region and a
	// call have the count of the regions that were removed up to then.
	removed []removedRegion
	count   uint64
	calls   map[uint64]int // running calls by the count at their start
}

// A removedRegion is the region that was removed as the count-th.
type removedRegion struct {
	region
	count uint64
}

func newRegions(maxBytes int, unmap func([]byte)) *Regions {
	return &Regions{maxBytes: maxBytes, unmap: unmap, regions: map[uint32]region{}, changed: make(chan struct{}), calls: map[uint64]int{}}
}

// In returns the bytes of a span of an input region. They are read-only: in shared memory a write
// is a fault. When the region has not arrived yet, In waits for it until ctx is done. The bytes are
// valid until the end of the call that was started with [Regions.StartCall].
func (r *Regions) In(ctx context.Context, s *protocol.Span) ([]byte, error) {
	return r.find(ctx, s, input)
}

// Out returns the bytes of a span of an output region, for writing. Otherwise it is like In.
func (r *Regions) Out(ctx context.Context, s *protocol.Span) ([]byte, error) {
	return r.find(ctx, s, output)
}

func (r *Regions) find(ctx context.Context, s *protocol.Span, d direction) ([]byte, error) {
	id, offset, bytes := s.GetRegion(), s.GetOffset(), s.GetBytes()
	if s == nil {
		return nil, errors.New("want a span, got none")
	}
	if id == 0 && offset == 0 && bytes == 0 {
		return nil, nil
	}
	reg, err := r.wait(ctx, id)
	if err != nil {
		return nil, err
	}
	if reg.direction != streamed && reg.direction != d {
		return nil, fmt.Errorf("want an %v region, got region %d, which is %v", d, id, reg.direction)
	}
	if offset%alignment != 0 {
		return nil, fmt.Errorf("span of region %d: want an offset that is a multiple of %d, got %d", id, alignment, offset)
	}
	return reg.slice(offset, bytes)
}

// slice returns bytes of a region. The other side chose the range.
func (g region) slice(offset, bytes uint64) ([]byte, error) {
	size := uint64(len(g.bytes))
	if offset > size || bytes > size-offset {
		return nil, fmt.Errorf("want a span within the %d bytes of region %d, got %d bytes at offset %d", size, g.id, bytes, offset)
	}
	return g.bytes[offset : offset+bytes : offset+bytes], nil
}

// wait returns the region of a number. Numbers ascend, so a number above the last one is of a
// region that has not arrived yet.
func (r *Regions) wait(ctx context.Context, id uint32) (region, error) {
	for {
		r.mu.Lock()
		reg, ok := r.regions[id]
		err, last, changed := r.err, r.last, r.changed
		r.mu.Unlock()
		switch {
		case ok:
			return reg, nil
		case err != nil:
			return region{}, fmt.Errorf("region %d cannot arrive: %w", id, err)
		case id <= last || r.streamed:
			return region{}, fmt.Errorf("no region %d: it was removed or never created", id)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return region{}, fmt.Errorf("waiting for region %d: %w", id, context.Cause(ctx))
		}
	}
}

// add adds a region and removes the one that it replaces. After all checks of the numbers, memory
// returns its bytes.
func (r *Regions) add(id uint32, d direction, bytes uint64, replaces uint32, memory func(bytes int) ([]byte, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, found := r.regions[replaces]
	switch {
	case r.err != nil:
		return r.err
	case id <= r.last:
		return fmt.Errorf("want a region with a number above %d, got %d", r.last, id)
	case replaces != 0 && !found:
		return fmt.Errorf("region %d replaces region %d, which does not exist", id, replaces)
	case found && old.direction != d:
		return fmt.Errorf("region %d (%v) replaces region %d (%v), want the same direction", id, d, replaces, old.direction)
	case bytes == 0 || bytes > uint64(r.maxBytes-r.bytes+len(old.bytes)):
		return fmt.Errorf("region %d: want 1 to %d bytes, with %d in use, got %d", id, r.maxBytes, r.bytes, bytes)
	case len(r.regions)+len(r.removed) >= maxRegions:
		return fmt.Errorf("region %d is one too many, want at most %d", id, maxRegions)
	}
	b, err := memory(int(bytes))
	if err != nil {
		return fmt.Errorf("region %d: %w", id, err)
	}
	r.regions[id] = region{id: id, direction: d, bytes: b}
	r.bytes += len(b)
	r.last = id
	r.removeLocked(replaces)
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

// remove removes a region if it exists.
func (r *Regions) remove(id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(id)
}

// fail removes all regions. err is the reason why no more regions arrive.
func (r *Regions) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	for id := range r.regions {
		r.removeLocked(id)
	}
	close(r.changed)
}

// removeLocked removes a region if it exists. The caller holds mu.
func (r *Regions) removeLocked(id uint32) {
	reg, ok := r.regions[id]
	if !ok {
		return
	}
	delete(r.regions, id)
	r.bytes -= len(reg.bytes)
	r.count++
	r.removed = append(r.removed, removedRegion{reg, r.count})
	r.unmapRemoved()
}

// unmapRemoved unmaps the removed regions that no running call can use. The caller holds mu.
func (r *Regions) unmapRemoved() {
	oldest := r.count
	for started := range r.calls {
		oldest = min(oldest, started)
	}
	r.removed = slices.DeleteFunc(r.removed, func(g removedRegion) bool {
		if g.count > oldest {
			return false
		}
		r.unmap(g.bytes)
		return true
	})
}

// StartCall marks the start of a call, and the function that it returns marks its end. A region
// that is removed stays mapped until all calls have ended that started before its removal.
func (r *Regions) StartCall() (endCall func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	started := r.count
	r.calls[started]++
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.calls[started]--; r.calls[started] == 0 {
			delete(r.calls, started)
			r.unmapRemoved()
		}
	})
}
