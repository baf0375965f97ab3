package cpu

import (
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A layout is the order of the elements of a value in memory.
type layout uint8

const (
	plain layout = iota // row-major
	// [n][block of 16 channels][pixel][16], padded lanes zero: see package kernels
	blocked
)

// A valueID is the index of a value of a lowered program.
type valueID int

const none valueID = -1

// A value is a tensor of a lowered program in one layout. It has memory of its own or that of
// another value.
type value struct {
	typ    graph.Type
	layout layout
	alias  valueID // shares the memory of that value; none if it has its own
	home   home
}

// A home is the owner of the memory of a value.
type home struct {
	kind  homeKind
	index int // of the input, slot, constant or update
}

type homeKind uint8

const (
	// the arena of the session, from the first stage that uses it to the last
	inArena    homeKind = iota
	inInput             // the caller's tensor
	inSlot              // the value of a slot when the run began
	inConstant          // the executable
	inUpdate            // the next value of a slot
	nowhere             // no phase uses it
	inWorker            // memory of each worker, for the images of its block
)

// An image is the dimensions of a value seen as [n, c, pixels].
type image struct{ n, c, pixels int }

func imageOf(dims []int) image { return image{dims[0], dims[1], array.Count(dims[2:])} }

// blocks returns the number of blocks of channels of one image.
func (m image) blocks() int { return kernels.Blocks(m.c) }

// padded returns the length of a vector over channels, rounded up to whole blocks.
func (m image) padded() int { return m.blocks() * kernels.Block }

// floats returns the number of elements in blocked layout.
func (m image) floats() int { return m.n * m.padded() * m.pixels }
