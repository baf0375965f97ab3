package cpu

import (
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A layout is how the elements of a value lie in memory.
type layout uint8

const (
	plain   layout = iota // row-major
	blocked               // [n][block of 16 channels][pixel][16], lanes beyond the last channel zero: see package kernels
)

// A valueID names a value of a lowered program.
type valueID int

const none valueID = -1

// A value is a tensor of a lowered program: in one layout, in a place of its own or in that of another value.
type value struct {
	typ    graph.Type
	layout layout
	alias  valueID // shares the memory of that value; none if it has its own
	home   home
}

// A home says who owns a value's memory.
type home struct {
	kind  homeKind
	index int // of the input, slot, constant or update
}

type homeKind uint8

const (
	inArena    homeKind = iota // the session's arena, while some region needs it
	inInput                    // the caller's tensor
	inSlot                     // the session's slot, as it was when the run began
	inConstant                 // the executable
	inUpdate                   // the slot's next value
	nowhere                    // nothing touches it
	inWorker                   // every worker's own memory, for the images it has at hand
)

// An image is a value seen as [n, c, pixels].
type image struct{ n, c, pixels int }

func imageOf(dims []int) image { return image{dims[0], dims[1], array.Count(dims[2:])} }

// blocks returns the number of blocks of channels of an image.
func (m image) blocks() int { return kernels.Blocks(m.c) }

// padded returns the length of a vector over channels, rounded up to whole blocks.
func (m image) padded() int { return m.blocks() * kernels.Block }

// floats returns the number of elements in blocked layout.
func (m image) floats() int { return m.n * m.padded() * m.pixels }
