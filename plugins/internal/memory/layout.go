package memory

import (
	"math"
	"math/bits"
)

const (
	alignment     = 64                        // offsets of spans are multiples of it
	maxBytes      = min(1<<40, math.MaxInt/2) // size of the largest region
	minRegion     = 1 << 20                   // size of the smallest region
	regionStep    = 64 << 20                  // larger regions are multiples of it
	maxChunk      = 1 << 20                   // bytes of the largest chunk of a stream
	invalidLayout = -1                        // size of a layout that Acquire refuses
)

// A Span is a range of bytes in the region that a [Layout] is for.
type Span struct{ Offset, Bytes int }

// A Layout assigns spans of one region, each at a multiple of 64. The zero value is empty.
type Layout struct{ size int }

// Add assigns a span of the given size. When the size is negative, or the layout exceeds 1 TiB, Add
// returns the zero Span and [Host.Acquire] refuses the layout.
func (l *Layout) Add(bytes int) Span {
	if l.size < 0 || bytes < 0 || bytes > maxBytes-roundUp(l.size, alignment) {
		l.size = invalidLayout
		return Span{}
	}
	s := Span{Offset: roundUp(l.size, alignment), Bytes: bytes}
	l.size = s.Offset + bytes
	return s
}

// regionSize returns the size of the region that is created for a layout. There are few different
// sizes, so that regions can be reused, and at most 64 MiB are unused.
func regionSize(bytes int) int {
	switch {
	case bytes <= minRegion:
		return minRegion
	case bytes <= regionStep:
		return 1 << bits.Len(uint(bytes-1))
	}
	return roundUp(bytes, regionStep)
}

func roundUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }

// A direction states who writes to a region. Its values are those of a message.
type direction byte

const (
	noRegion direction = 0 // of a message without a region
	streamed direction = 0 // of a region that both sides have a copy of: it is input and output
	input    direction = 1 // the host writes, the plugin reads
	output   direction = 2 // the plugin writes, the host reads
)

func (d direction) String() string {
	switch d {
	case input:
		return "input"
	case output:
		return "output"
	}
	return "streamed"
}
