package checkpoint

import (
	"encoding/binary"

	"github.com/compressaware/cram/sdk/array"
)

// words are the elements of a tensor as unsigned integers of their size.
type words struct {
	data []byte
	size int
}

func wordsOf(t array.Tensor) words { return words{t.Data, t.DType.Bytes(1)} }

func (w words) len() int { return len(w.data) / w.size }

// at returns the bits of element i.
func (w words) at(i int) uint64 {
	switch w.size {
	case 1:
		return uint64(w.data[i])
	case 2:
		return uint64(binary.LittleEndian.Uint16(w.data[2*i:]))
	case 4:
		return uint64(binary.LittleEndian.Uint32(w.data[4*i:]))
	}
	return binary.LittleEndian.Uint64(w.data[8*i:])
}

// set sets the bits of element i.
func (w words) set(i int, x uint64) {
	switch w.size {
	case 1:
		w.data[i] = byte(x)
	case 2:
		binary.LittleEndian.PutUint16(w.data[2*i:], uint16(x))
	case 4:
		binary.LittleEndian.PutUint32(w.data[4*i:], uint32(x))
	default:
		binary.LittleEndian.PutUint64(w.data[8*i:], x)
	}
}
