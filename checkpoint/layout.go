package checkpoint

import (
	"hash/crc32"

	"github.com/compressaware/cram/internal/pack"
)

// alignment of the content of every chunk in the file.
const alignment = 64

// magic is the first bytes of a file, the string "cram". The version follows.
const magic = "\xa4cram"

// version is the version that is written. Version 1 is read, too.
const version = 2

// preamble is the bytes before the header's binary: magic, the version, and a binary of 4 bytes
// with the header's checksum.
const preamble = len(magic) + 1 + 2 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// A chunk is one binary of the data. Offsets count from the content of the first.
type chunk struct {
	before int64 // end of the chunk before
	off, n int64 // its content
	crc    uint32
}

// A blob is bytes in chunks, each of chunkBytes but the last. An empty blob has no chunk.
type blob []chunk

func (b blob) len() int64 {
	n := int64(0)
	for _, c := range b {
		n += c.n
	}
	return n
}

// A layout computes offsets. Given lengths have one layout, without holes and overlaps, so a reader
// can require it.
type layout struct {
	end  int64
	some bool
}

// next returns the chunk for the next n bytes of content.
func (l *layout) next(n int64) chunk {
	c := chunk{before: l.end, n: n}
	if l.some {
		c.off = alignUp(l.end + 2 + binHeader(n)) // 2: the header of the padding
	}
	l.some, l.end = true, c.off+n
	return c
}

func alignUp(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// binHeader returns the length of the start of a MessagePack binary of n bytes.
func binHeader(n int64) int64 {
	switch {
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	}
	return 5
}

// dataStart returns the offset in the file of the first content when the header ends at end: the
// second multiple of 64 from end on, so that it depends on the header's length only.
func dataStart(end int64) int64 { return alignUp(end) + alignment }

// gap returns the bytes between the chunk before c, or the header, and the content of c: the
// padding and the start of c's binary.
func gap(c chunk, headerEnd, data int64) []byte {
	w := pack.NewWriter()
	w.Bin(make([]byte, data+c.off-c.start(headerEnd, data)-2-binHeader(c.n)))
	w.BinHeader(int(c.n))
	return w.Bytes()
}

// start returns the offset in the file of the padding before c.
func (c chunk) start(headerEnd, data int64) int64 {
	if c.off == 0 {
		return headerEnd
	}
	return data + c.before
}
