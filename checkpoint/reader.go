package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A Reader reads a checkpoint piece by piece. Its methods are safe for concurrent use; what they return is the caller's. The zero Reader,
// and nil, hold nothing and answer with errors.
type Reader struct {
	r    io.ReaderAt
	file io.Closer // nil: not ours
	head *header
	end  int64 // of the header
	data int64 // first content
}

// NewReader reads the table of contents of a checkpoint of size bytes, and nothing else. A level is read by several goroutines at once, as io.ReaderAt
// allows.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	if r == nil || size < 0 {
		return nil, fmt.Errorf("checkpoint: want a reader and its size of 0 or more, got %T and %d", r, size)
	}
	c := &Reader{r: r}
	start, err := c.bytes(0, min(size, int64(preamble)+5))
	if err != nil {
		return nil, err
	}
	if len(start) < preamble || !bytes.HasPrefix(start, []byte(magic)) {
		if n := len(magic) - 1; len(start) > n && string(start[:n]) == magic[:n] {
			return nil, damaged(int64(n), "version byte 0x%02x, this software reads version %d", start[n], magic[n])
		}
		return nil, damaged(0, "not a checkpoint: it does not begin with %q", magic)
	}
	p := pack.NewReader(start[len(magic):])
	crc := p.Bin()
	n := int64(p.BinHeader())
	at := int64(len(magic) + p.Offset())
	var where *pack.Error
	switch {
	case errors.As(p.Err(), &where):
		return nil, damaged(int64(len(magic)+where.Offset), "want a checksum of 4 bytes and a table of contents: %s", where.Problem)
	case len(crc) != 4:
		return nil, damaged(int64(len(magic)), "want a checksum of 4 bytes, got %d", len(crc))
	case n > maxHeader || n > size-at:
		return nil, damaged(at, "a table of contents of %d bytes; the file has %d left, the limit is %d", n, size-at, maxHeader)
	}
	head := make([]byte, n)
	begun := copy(head, start[at:])
	if err := c.fill(head[begun:], at+int64(begun)); err != nil {
		return nil, err
	}
	if got, want := checksum(head), binary.LittleEndian.Uint32(crc); got != want {
		return nil, damaged(at, "checksum of the table of contents is %08x, want %08x", got, want)
	}
	var end int64
	if c.head, end, err = decodeHeader(head); err != nil {
		if errors.As(err, &where) {
			return nil, damaged(at+int64(where.Offset), "table of contents: %s", where.Problem)
		}
		return nil, err
	}
	c.end = at + n
	c.data = dataStart(c.end)
	if end += c.data; end == c.data {
		end = c.end // no data at all
	}
	if end != size {
		return nil, damaged(min(end, size), "the file has %d bytes, its table of contents says %d", size, end)
	}
	return c, nil
}

// Close closes the file that [Open], [OpenMapped] or [OpenFS] opened. Readings after it are errors.
func (c *Reader) Close() error {
	if c == nil || c.file == nil {
		return nil
	}
	return c.file.Close()
}

func (c *Reader) bytes(at, n int64) ([]byte, error) {
	b := make([]byte, n)
	return b, c.fill(b, at)
}

func (c *Reader) fill(b []byte, at int64) error {
	n, err := c.r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return fmt.Errorf("checkpoint: read %d bytes at byte %d: got %d: %w", len(b), at, n, err)
}

// read fills dst, of b's length, with b's content, and checks all that it reads.
func (c *Reader) read(b blob, dst []byte) error {
	for _, k := range b {
		start := k.start(c.end, c.data)
		want := gap(k, c.end, c.data)
		got, err := c.bytes(start, int64(len(want)))
		if err != nil {
			return err
		}
		for i := range want {
			if got[i] != want[i] {
				return damaged(start+int64(i), "padding or length is 0x%02x, want 0x%02x", got[i], want[i])
			}
		}
		piece := dst[:k.n]
		dst = dst[k.n:]
		if err := c.fill(piece, c.data+k.off); err != nil {
			return err
		}
		if crc := checksum(piece); crc != k.crc {
			return damaged(c.data+k.off, "checksum of the %d bytes from here is %08x, want %08x", k.n, crc, k.crc)
		}
	}
	return nil
}

// at returns where b is, for messages.
func (c *Reader) at(b blob) int64 {
	if len(b) == 0 {
		return c.end
	}
	return c.data + b[0].off
}

var errEmpty = errors.New("checkpoint: the Reader is empty; make one with Open or NewReader")

func (c *Reader) empty() bool { return c == nil || c.head == nil }

// Info returns what the file says of itself.
func (c *Reader) Info() Info {
	if c.empty() {
		return Info{}
	}
	return c.head.meta.clone()
}

// Levels returns the names of the levels, in the order in which they were saved.
func (c *Reader) Levels() []string {
	if c.empty() {
		return nil
	}
	names := make([]string, len(c.head.levels))
	for i, l := range c.head.levels {
		names[i] = l.name
	}
	return names
}

// Programs returns the names of the programs, sorted.
func (c *Reader) Programs() []string {
	if c.empty() {
		return nil
	}
	names := make([]string, len(c.head.programs))
	for i, p := range c.head.programs {
		names[i] = p.name
	}
	return names
}

// Program reads the named program. It is verified.
func (c *Reader) Program(name string) (*graph.Program, error) {
	if c.empty() {
		return nil, errEmpty
	}
	for _, p := range c.head.programs {
		if p.name != name {
			continue
		}
		code := make([]byte, p.code.len())
		if err := c.read(p.code, code); err != nil {
			return nil, err
		}
		q, err := graph.Decode(code)
		if err != nil {
			return nil, damaged(c.at(p.code), "program %q: %v", name, err)
		}
		return q, nil
	}
	return nil, fmt.Errorf("checkpoint: no program %q, the file has %q", name, c.Programs())
}

// find returns the named level, or the only one when name is empty.
func (c *Reader) find(name string) (*level, error) {
	if c.empty() {
		return nil, errEmpty
	}
	for i := range c.head.levels {
		if l := &c.head.levels[i]; l.name == name || name == "" && len(c.head.levels) == 1 {
			return l, nil
		}
	}
	return nil, &LevelError{name, c.Levels()}
}

// Level reads the named level, and nothing that it does not need. The empty name means the only level; when there are
// several, or none of that name, the error is a [*LevelError] that lists them. Tensors have the encoding in which they were
// saved; one that shares its values with other levels stores no zeros, whatever it did before, but in an N:M group. They are read on all cores.
func (c *Reader) Level(name string) (*Level, error) {
	l, err := c.find(name)
	if err != nil {
		return nil, err
	}
	values := make([]array.Value, len(l.entries))
	err = each(len(values), func(i int) (err error) {
		values[i], err = c.assemble(l.entries[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &Level{Name: l.name, Notes: maps.Clone(l.notes), Tensors: make(map[string]array.Value, len(values))}
	for i, e := range l.entries {
		out.Tensors[c.head.tensors[e.tensor].name] = values[i]
	}
	return out, nil
}

// HasState says whether the file holds a training in progress, without reading its state.
func (c *Reader) HasState() bool { return !c.empty() && c.head.state != nil }

// State reads the training state; nil when the file has none.
func (c *Reader) State() (*State, error) {
	if c.empty() {
		return nil, errEmpty
	}
	s := c.head.state
	if s == nil {
		return nil, nil
	}
	out := &State{Ints: maps.Clone(s.ints), Tensors: make(map[string]array.Value, len(s.tensors))}
	for _, t := range s.tensors {
		v, err := c.value(t.tensor, t.form, t.index, t.values)
		if err != nil {
			return nil, err
		}
		out.Tensors[t.name] = v
	}
	return out, nil
}

// File reads everything.
func (c *Reader) File() (*File, error) {
	if c.empty() {
		return nil, errEmpty
	}
	f := &File{Info: c.Info()}
	for _, name := range c.Programs() {
		p, err := c.Program(name)
		if err != nil {
			return nil, err
		}
		if f.Programs == nil {
			f.Programs = map[string]*graph.Program{}
		}
		f.Programs[name] = p
	}
	for _, name := range c.Levels() {
		l, err := c.Level(name)
		if err != nil {
			return nil, err
		}
		f.Levels = append(f.Levels, *l)
	}
	var err error
	f.State, err = c.State()
	return f, err
}

// Verify checks every byte of the file: first, in the order of the file, that checksums match and padding is zero, so that the first
// damaged place is named; then that programs are valid and every tensor of every level decodes. It needs the memory of the largest tensor.
func (c *Reader) Verify() error {
	if c.empty() {
		return errEmpty
	}
	if err := c.intact(); err != nil {
		return err
	}
	for _, name := range c.Programs() {
		if _, err := c.Program(name); err != nil {
			return err
		}
	}
	for _, l := range c.head.levels {
		for _, e := range l.entries {
			if _, err := c.assemble(e); err != nil {
				return err
			}
		}
	}
	_, err := c.State()
	return err
}

// intact reads all chunks once and interprets none.
func (c *Reader) intact() (err error) {
	var content []byte
	c.head.blobs(func(b *blob) {
		for i, k := range *b {
			if err == nil {
				content = slices.Grow(content[:0], int(k.n))[:k.n]
				err = c.read((*b)[i:i+1], content)
			}
		}
	})
	return err
}

// Notes returns the notes of a level without reading its tensors. The empty name means the only level.
func (c *Reader) Notes(name string) (map[string]string, error) {
	l, err := c.find(name)
	if err != nil {
		return nil, err
	}
	return maps.Clone(l.notes), nil
}

// A TensorInfo says what a tensor is at a level, without reading it.
type TensorInfo struct {
	Name     string
	DType    array.DType
	Dims     []int
	Encoding string  // "dense", "bitmask", "index16", "nm:2:4:1": N of each M along an axis
	Sparsity float64 // share of elements that are not stored
	Bytes    int64   // read from the file for this level, parts shared with other levels included
}

// Tensors lists the tensors of a level by name. The empty name means the only level.
func (c *Reader) Tensors(name string) ([]TensorInfo, error) {
	l, err := c.find(name)
	if err != nil {
		return nil, err
	}
	list := make([]TensorInfo, len(l.entries))
	for i, e := range l.entries {
		t := c.head.tensors[e.tensor]
		list[i] = TensorInfo{Name: t.name, DType: t.dtype, Dims: slices.Clone(t.dims), Encoding: e.form.String(),
			Sparsity: 1 - float64(e.stored)/float64(array.Count(t.dims))}
		for _, p := range e.parts {
			list[i].Bytes += c.head.parts[p].index.len() + c.head.parts[p].values.len()
		}
	}
	return list, nil
}
