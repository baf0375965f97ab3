package memory

import (
	"math"
	"math/bits"
)

const (
	align   = 64                        // every place begins at a multiple of it
	limit   = min(1<<40, math.MaxInt/2) // bytes of a region
	least   = 1 << 20                   // bytes of the smallest region
	step    = 64 << 20                  // from here on sizes are its multiples
	chunk   = 1 << 20                   // bytes of the largest chunk of a stream
	invalid = -1                        // size of a layout that cannot be
)

// A Place is where a Layout put something.
type Place struct{ Offset, Bytes int }

// A Layout lays things out one after the other, each at a multiple of 64.
type Layout struct{ size int }

// Add makes room for a number of bytes. Of a negative number, or beyond 1 TiB in all, there is no Place, and Lease
// refuses the layout.
func (l *Layout) Add(bytes int) Place {
	if l.size < 0 || bytes < 0 || bytes > limit-roundUp(l.size, align) {
		l.size = invalid
		return Place{}
	}
	p := Place{Offset: roundUp(l.size, align), Bytes: bytes}
	l.size = p.Offset + bytes
	return p
}

// sizeFor returns the size of the region that is made for a layout: few different sizes, so that regions fit again, and
// never more than 64 MiB to spare.
func sizeFor(bytes int) int {
	switch {
	case bytes <= least:
		return least
	case bytes <= step:
		return 1 << bits.Len(uint(bytes-1))
	}
	return roundUp(bytes, step)
}

func roundUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }

// A direction says who writes to a region.
type direction byte

const (
	either       direction = iota // a region of a stream
	towardPlugin                  // the host writes
	towardHost                    // the plugin writes
)

func (d direction) String() string {
	switch d {
	case towardPlugin:
		return "toward the plugin"
	case towardHost:
		return "toward the host"
	}
	return "either way"
}
