package checkpoint

import "hash/crc32"

// alignment of every payload in the file.
const alignment = 64

// magic is the first bytes of a file: the string "cram" and the version 1.
const magic = "\xa4cram\x01"

// preamble is what stands before the header's binary: magic and a binary of 4 bytes with the header's checksum.
const preamble = len(magic) + 2 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// A chunk is one binary of the data. Offsets count from the content of the first.
type chunk struct {
	before int64 // end of the chunk before
	off, n int64 // its content
	crc    uint32
}

// A blob is a run of bytes in chunks, every one but the last of chunkBytes. An empty blob has no chunk.
type blob []chunk

func (b blob) len() int64 {
	n := int64(0)
	for _, c := range b {
		n += c.n
	}
	return n
}

// A layout hands out offsets. There is one way to lay out given lengths, so a reader can demand it:
// no holes, no overlaps, no choice of padding.
type layout struct {
	end  int64
	some bool
}

// place returns where the next content of n bytes goes, and takes the room.
func (l *layout) place(n int64) chunk {
	c := chunk{before: l.end, n: n}
	if l.some {
		c.off = alignUp(l.end + 2 + binHeader(n)) // 2: the header of the padding
	}
	l.some, l.end = true, c.off+n
	return c
}

func alignUp(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// binHeader returns the length of the beginning of a MessagePack binary of n bytes.
func binHeader(n int64) int64 {
	switch {
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	}
	return 5
}

// dataStart returns the place of the first content in a file whose header ends at end: the second multiple of 64 from there on,
// so that it depends on nothing but the header's length.
func dataStart(end int64) int64 { return alignUp(end) + alignment }
