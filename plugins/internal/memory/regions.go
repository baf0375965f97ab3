package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// most is how many regions a plugin holds at a time.
const most = 1024

// Regions is the plugin's side: the regions that came from the host. Its methods are safe for concurrent use.
type Regions struct {
	protocol.UnimplementedMemoryServer
	streamed bool         // regions are the plugin's own, and none is on its way when a span names it
	limit    int          // bytes of all regions
	unmap    func([]byte) // lets go of a region's memory

	mu      sync.Mutex
	regions map[uint32]region
	bytes   int           // of regions
	last    uint32        // greatest number so far
	arrived chan struct{} // closed when last or err changes
	err     error         // why no more regions come

	// Regions that were let go of, and calls under way, by how many regions had been let go of before them.
	retired []retired
	count   uint64
	calls   map[uint64]int
}

// retired is a region that was let go of as the count-th.
type retired struct {
	region
	count uint64
}

func newRegions(limit int, unmap func([]byte)) *Regions {
	return &Regions{limit: limit, unmap: unmap, regions: map[uint32]region{}, arrived: make(chan struct{}), calls: map[uint64]int{}}
}

// In returns the bytes that a span names in a region toward the plugin. They must not be written to: in shared memory
// that is a fault. Where the region is still on its way, In waits until it comes or ctx is done. Call it between Enter
// and leave, and use the bytes no longer.
func (r *Regions) In(ctx context.Context, s *protocol.Span) ([]byte, error) {
	return r.find(ctx, s, towardPlugin)
}

// Out returns the bytes that a span names in a region toward the host; for the rest it is like In.
func (r *Regions) Out(ctx context.Context, s *protocol.Span) ([]byte, error) {
	return r.find(ctx, s, towardHost)
}

func (r *Regions) find(ctx context.Context, s *protocol.Span, toward direction) ([]byte, error) {
	id, offset, bytes := s.GetRegion(), s.GetOffset(), s.GetBytes()
	if s == nil {
		return nil, errors.New("memory: expected a span, got none")
	}
	if id == 0 && offset == 0 && bytes == 0 {
		return nil, nil
	}
	reg, err := r.await(ctx, id)
	if err != nil {
		return nil, err
	}
	if reg.toward != either && reg.toward != toward {
		return nil, fmt.Errorf("memory: expected a region %s, got region %d %s", toward, id, reg.toward)
	}
	if offset%align != 0 {
		return nil, fmt.Errorf("memory: span of region %d: expected an offset that is a multiple of %d, got %d", id, align, offset)
	}
	return reg.slice(offset, bytes)
}

// slice returns bytes of a region that the other side chose.
func (g region) slice(offset, bytes uint64) ([]byte, error) {
	size := uint64(len(g.bytes))
	if offset > size || bytes > size-offset {
		return nil, fmt.Errorf("memory: expected bytes within the %d of region %d, got %d at offset %d", size, g.id, bytes, offset)
	}
	return g.bytes[offset : offset+bytes : offset+bytes], nil
}

// await returns the region of that number. Numbers ascend: one that is greater than the last is on its way.
func (r *Regions) await(ctx context.Context, id uint32) (region, error) {
	for {
		r.mu.Lock()
		reg, here := r.regions[id]
		err, last, arrived := r.err, r.last, r.arrived
		r.mu.Unlock()
		switch {
		case here:
			return reg, nil
		case err != nil:
			return region{}, fmt.Errorf("memory: region %d does not come any more: %w", id, err)
		case id <= last || r.streamed:
			return region{}, fmt.Errorf("memory: no region %d here: it was let go of, or never was", id)
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return region{}, fmt.Errorf("memory: waiting for region %d: %w", id, context.Cause(ctx))
		}
	}
}

// add takes in a region, whose memory is made once all numbers are right, and lets go of the one that it replaces.
func (r *Regions) add(id uint32, toward direction, bytes uint64, replaces uint32, memory func(bytes int) ([]byte, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.regions[replaces]
	switch {
	case r.err != nil:
		return r.err
	case id <= r.last:
		return fmt.Errorf("memory: expected a region with a number above %d, got %d", r.last, id)
	case replaces != 0 && !known:
		return fmt.Errorf("memory: region %d replaces region %d, which is not here", id, replaces)
	case known && old.toward != toward:
		return fmt.Errorf("memory: region %d %s replaces region %d %s", id, toward, replaces, old.toward)
	case bytes == 0 || bytes > uint64(r.limit-r.bytes+len(old.bytes)):
		return fmt.Errorf("memory: region %d of %d bytes: expected 1 to %d, with %d bytes here already", id, bytes, r.limit, r.bytes)
	case len(r.regions)+len(r.retired) >= most:
		return fmt.Errorf("memory: region %d is one too many: at most %d", id, most)
	}
	b, err := memory(int(bytes))
	if err != nil {
		return fmt.Errorf("memory: region %d: %w", id, err)
	}
	r.regions[id] = region{id: id, toward: toward, bytes: b}
	r.bytes += len(b)
	r.last = id
	r.retire(replaces)
	close(r.arrived)
	r.arrived = make(chan struct{})
	return nil
}

// drop lets go of a region if it is here.
func (r *Regions) drop(id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retire(id)
}

// end lets go of all regions. No more come, because of err.
func (r *Regions) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	for id := range r.regions {
		r.retire(id)
	}
	close(r.arrived)
}

// retire takes a region out of use; mu is held, as in sweep.
func (r *Regions) retire(id uint32) {
	reg, ok := r.regions[id]
	if !ok {
		return
	}
	delete(r.regions, id)
	r.bytes -= len(reg.bytes)
	r.count++
	r.retired = append(r.retired, retired{reg, r.count})
	r.sweep()
}

// sweep lets go of the memory of retired regions that no call under way can have seen.
func (r *Regions) sweep() {
	oldest := r.count
	for began := range r.calls {
		oldest = min(oldest, began)
	}
	r.retired = slices.DeleteFunc(r.retired, func(t retired) bool {
		if t.count > oldest {
			return false
		}
		r.unmap(t.bytes)
		return true
	})
}

// Enter marks the beginning of a call; leave its end. A region that was replaced is let go of when no call is under way
// that began before its replacement came.
func (r *Regions) Enter() (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	began := r.count
	r.calls[began]++
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.calls[began]--; r.calls[began] == 0 {
			delete(r.calls, began)
			r.sweep()
		}
	})
}

// Locate says in which region an address lies, and where in it. With debug.SetPanicOnFault it tells a write into
// read-only memory, whose runtime error has the address, from other faults.
func (r *Regions) Locate(addr uintptr) (region uint32, offset int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.regions {
		if offset, ok := g.contains(addr); ok {
			return g.id, offset, true
		}
	}
	for _, g := range r.retired {
		if offset, ok := g.contains(addr); ok {
			return g.id, offset, true
		}
	}
	return 0, 0, false
}

func (g region) contains(addr uintptr) (offset int, ok bool) {
	begin := address(g.bytes)
	return int(addr - begin), addr >= begin && addr-begin < uintptr(len(g.bytes))
}

// Err says why no more regions come: io.EOF once the host has gone, what was wrong with a message of his, nil before.
func (r *Regions) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
