package kernels

// convPrefetch is the part of the next image that is not prefetched into the cache yet. The kernels
// prefetch it while they compute the current image, in proportion to their work, because prefetches
// that are spread evenly do not delay the other loads.
type convPrefetch struct {
	rest [2][]float32 // in this order
	// elements of the next image; multiply-adds of the current one, in blocks of 16
	total, work int
}

// take removes the share of work multiply-adds, in blocks of 16, and returns it.
func (p *convPrefetch) take(work int) []float32 {
	from := &p.rest[0]
	if len(*from) == 0 {
		from = &p.rest[1]
	}
	n := min(len(*from), (p.total*work/max(1, p.work)+Block)&^(Block-1))
	share := (*from)[:n]
	*from = (*from)[n:]
	return share
}
