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

// A Reader reads a checkpoint piece by piece. Its methods are safe for concurrent use. The caller
// owns their results.
type Reader struct {
	r    io.ReaderAt
	file io.Closer // nil: of the caller
	head *header
	end  int64 // of the header
	data int64 // offset of the first content
}

// NewReader returns a Reader of the size bytes of r. It reads the table of contents and nothing
// else. [Reader.Level] calls r.ReadAt from several goroutines.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	if r == nil || size < 0 {
		return nil, fmt.Errorf("checkpoint: want an io.ReaderAt and a size of 0 or more, got %T and %d", r, size)
	}
	c := &Reader{r: r}
	start, err := c.bytes(0, min(size, int64(preamble)+5))
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(start, []byte(magic)) || len(start) < preamble {
		return nil, damaged(0, "not a checkpoint: it does not begin with %q and a header", magic)
	}
	fileVersion := start[len(magic)]
	if fileVersion < 1 || fileVersion > version {
		return nil, damaged(int64(len(magic)), "version byte 0x%02x, this software reads versions 1 to %d", fileVersion, version)
	}
	before := int64(len(magic) + 1)
	p := pack.NewReader(start[before:])
	crc := p.Bin()
	n := int64(p.BinHeader())
	at := before + int64(p.Offset())
	var where *pack.Error
	switch {
	case errors.As(p.Err(), &where):
		return nil, damaged(before+int64(where.Offset), "want a checksum of 4 bytes and a table of contents: %s", where.Problem)
	case len(crc) != 4:
		return nil, damaged(before, "want a checksum of 4 bytes, got %d", len(crc))
	case n > maxHeader || n > size-at:
		return nil, damaged(at, "a table of contents of %d bytes; the file has %d left, the limit is %d", n, size-at, maxHeader)
	}
	head := make([]byte, n)
	begun := copy(head, start[at:])
	if err := readFull(c.r, head[begun:], at+int64(begun)); err != nil {
		return nil, err
	}
	if got, want := checksum(head), binary.LittleEndian.Uint32(crc); got != want {
		return nil, damaged(at, "checksum of the table of contents is %08x, want %08x", got, want)
	}
	var end int64
	if c.head, end, err = decodeHeader(fileVersion, head); err != nil {
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

// Close closes the file that [Open] opened. Reading after it is an error.
func (c *Reader) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

func (c *Reader) bytes(at, n int64) ([]byte, error) {
	b := make([]byte, n)
	return b, readFull(c.r, b, at)
}

// readFull fills b with the bytes of r from offset at on.
func readFull(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return fmt.Errorf("checkpoint: read %d bytes at byte %d: got %d: %w", len(b), at, n, err)
}

// read fills dst, of b's length, with b's content, and checks all bytes that it reads.
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
		if err := readFull(c.r, piece, c.data+k.off); err != nil {
			return err
		}
		if crc := checksum(piece); crc != k.crc {
			return damaged(c.data+k.off, "checksum of the %d bytes from here is %08x, want %08x", k.n, crc, k.crc)
		}
	}
	return nil
}

// at returns the offset of b in the file, for errors.
func (c *Reader) at(b blob) int64 {
	if len(b) == 0 {
		return c.end
	}
	return c.data + b[0].off
}

// Info returns the description of the network. The tensors of its steps are left out;
// [Reader.Steps] reads them.
func (c *Reader) Info() Info { return c.head.info.clone() }

// Steps reads the steps of the network, with their tensors.
func (c *Reader) Steps() ([]Step, error) {
	steps := c.head.info.clone().Steps
	for i, set := range c.head.steps {
		var err error
		if steps[i].Tensors, err = c.set(set, fmt.Sprintf("step %d (%s)", i, steps[i].Kind)); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// set reads a set of tensors, those of owner.
func (c *Reader) set(s tensorSet, owner string) (map[string]array.Value, error) {
	values := make(map[string]array.Value, len(s.parts))
	for _, p := range s.parts {
		v, err := c.value(p)
		if err != nil {
			return nil, err
		}
		values[p.name] = v
	}
	return values, c.quantized(values, s.quantization, owner)
}

// Programs returns the names of the programs, sorted.
func (c *Reader) Programs() []string {
	names := make([]string, len(c.head.programs))
	for i, p := range c.head.programs {
		names[i] = p.name
	}
	return names
}

// Program reads and verifies the named program. A level may replace it; see [Level].
func (c *Reader) Program(name string) (*graph.Program, error) {
	for _, p := range c.head.programs {
		if p.name == name {
			return c.program(p)
		}
	}
	return nil, fmt.Errorf("checkpoint: no program %q, the file has %q", name, c.Programs())
}

func (c *Reader) program(p program) (*graph.Program, error) {
	b := c.head.code[p.code]
	code := make([]byte, b.len())
	if err := c.read(b, code); err != nil {
		return nil, err
	}
	q, err := graph.Decode(code)
	if err != nil {
		return nil, damaged(c.at(b), "program %q: %v", p.name, err)
	}
	return q, nil
}

// Levels returns the names of the levels, in the order in which they were saved.
func (c *Reader) Levels() []string {
	names := make([]string, len(c.head.levels))
	for i, l := range c.head.levels {
		names[i] = l.name
	}
	return names
}

// find returns the named level, or the only one when name is empty.
func (c *Reader) find(name string) (*level, error) {
	for i := range c.head.levels {
		if l := &c.head.levels[i]; l.name == name || name == "" && len(c.head.levels) == 1 {
			return l, nil
		}
	}
	return nil, &LevelError{name, c.Levels()}
}

// Level reads the named level on all cores, and nothing else, except the programs that those of the
// level replace. The empty name means the only level. The error is a [*LevelError] when there are
// several levels, or none of that name.
//
// Tensors have the encodings in which they were saved. A tensor that shares elements with other
// levels stores no zeros, whatever it stored before; an N:M encoding is the exception.
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
	if err := c.quantized(out.Tensors, l.quantization, fmt.Sprintf("level %q", l.name)); err != nil {
		return nil, err
	}
	if out.Activations, err = c.quantizations(l.activations, checkActivation); err != nil {
		return nil, err
	}
	out.Programs, err = c.levelPrograms(l)
	return out, err
}

// levelPrograms reads the programs of l, nil when it has none.
func (c *Reader) levelPrograms(l *level) (map[string]*graph.Program, error) {
	if len(l.programs) == 0 {
		return nil, nil
	}
	programs := make(map[string]*graph.Program, len(l.programs))
	for _, p := range l.programs {
		q, err := c.program(p)
		if err != nil {
			return nil, err
		}
		programs[p.name] = q
		if slices.Contains(c.head.programs, p) {
			continue // it is the shared one
		}
		shared, err := c.Program(p.name)
		if err != nil {
			return nil, err
		}
		if err := sameInterface(q, shared); err != nil {
			return nil, damaged(c.at(c.head.code[p.code]), "level %q, program %q: %v", l.name, p.name, err)
		}
	}
	return programs, nil
}

// HasState reports whether the file contains a training in progress. It reads nothing.
func (c *Reader) HasState() bool { return c.head.state != nil }

// State reads the training state, nil when the file has none.
func (c *Reader) State() (*State, error) {
	s := c.head.state
	if s == nil {
		return nil, nil
	}
	tensors, err := c.set(s.tensorSet, "state")
	if err != nil {
		return nil, err
	}
	return &State{Ints: maps.Clone(s.ints), Tensors: tensors}, nil
}

// File reads everything.
func (c *Reader) File() (*File, error) {
	f := &File{Info: c.Info()}
	var err error
	if f.Info.Steps, err = c.Steps(); err != nil {
		return nil, err
	}
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
	f.State, err = c.State()
	return f, err
}

// Verify checks every byte of the file. First it checks checksums and padding in the order of the
// file, so the error has the first damaged offset; then it decodes all programs and tensors. It
// needs the memory of the largest tensor, of one level's quantized tensors, of the steps or of the
// state.
func (c *Reader) Verify() error {
	if err := c.intact(); err != nil {
		return err
	}
	if _, err := c.Steps(); err != nil {
		return err
	}
	for _, name := range c.Programs() {
		if _, err := c.Program(name); err != nil {
			return err
		}
	}
	for i := range c.head.levels {
		if err := c.verifyLevel(&c.head.levels[i]); err != nil {
			return err
		}
	}
	_, err := c.State()
	return err
}

func (c *Reader) verifyLevel(l *level) error {
	values := map[string]array.Value{} // those that may have a quantization
	for _, e := range l.entries {
		v, err := c.assemble(e)
		if err != nil {
			return err
		}
		if v.DType == array.I8 && len(l.quantization) > 0 {
			values[c.head.tensors[e.tensor].name] = v
		}
	}
	if err := c.quantized(values, l.quantization, fmt.Sprintf("level %q", l.name)); err != nil {
		return err
	}
	if _, err := c.quantizations(l.activations, checkActivation); err != nil {
		return err
	}
	_, err := c.levelPrograms(l)
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

// LevelInfo describes a level without its content.
type LevelInfo struct {
	Name     string
	Notes    map[string]string
	Programs []string     // those that replace the file's programs
	Tensors  []TensorInfo // sorted by name
}

// TensorInfo describes a tensor at a level.
type TensorInfo struct {
	Name     string
	DType    array.DType
	Dims     []int
	Encoding string  // "dense", "bitmask", "index16" or, for N of each M along an axis, "nm:2:4:1"
	Sparsity float64 // fraction of the elements that are not stored
	Bytes    int64   // of its parts, including those that other levels share
}

// LevelInfo describes the named level. It reads nothing. The empty name means the only level.
func (c *Reader) LevelInfo(name string) (LevelInfo, error) {
	l, err := c.find(name)
	if err != nil {
		return LevelInfo{}, err
	}
	info := LevelInfo{Name: l.name, Notes: maps.Clone(l.notes), Tensors: make([]TensorInfo, len(l.entries))}
	for _, p := range l.programs {
		info.Programs = append(info.Programs, p.name)
	}
	for i, e := range l.entries {
		t := c.head.tensors[e.tensor]
		x := TensorInfo{Name: t.name, DType: t.dtype, Dims: slices.Clone(t.dims), Encoding: e.encoding.String(),
			Sparsity: 1 - float64(e.stored)/float64(t.len())}
		for _, k := range e.parts {
			x.Bytes += c.head.parts[k].len()
		}
		info.Tensors[i] = x
	}
	return info, nil
}
