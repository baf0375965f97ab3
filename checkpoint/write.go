package checkpoint

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Write writes f. It reads f's tensors twice, first on all cores, and copies one tensor a core at most. Equal content gives equal bytes.
//
// A tensor that changes before all of it is written, because a training goes on, makes an error and not a damaged file.
func Write(w io.Writer, f *File) error {
	if w == nil {
		return errors.New("checkpoint: the writer is nil")
	}
	if err := f.check(); err != nil {
		return err
	}
	p, err := newWriting(f)
	if err != nil {
		return err
	}
	head := p.head.encode()
	if len(head) > maxHeader {
		return fmt.Errorf("checkpoint: the table of contents takes %d bytes, the limit is %d", len(head), maxHeader)
	}
	// What a reader refuses (unprintable names, bounds) must not be written in the first place.
	if _, _, err := decodeHeader(head); err != nil {
		return fmt.Errorf("checkpoint: content that a file cannot hold: table of contents %w", err)
	}
	return p.write(w, head)
}

// writing is a file about to be written: its header, and where the bytes of its blobs come from, in file order.
type writing struct {
	head    header
	sources []source // of programs (as values), parts, state tensors
}

func newWriting(f *File) (*writing, error) {
	p := &writing{head: header{meta: f.Info}}
	if err := p.addPrograms(f.Programs); err != nil {
		return nil, err
	}
	if err := p.addLevels(f.Levels); err != nil {
		return nil, err
	}
	if f.State != nil {
		p.addState(f.State)
	}
	var place layout
	p.head.blobs(func(b *blob) {
		for i, c := range *b {
			crc := c.crc
			(*b)[i] = place.place(c.n)
			(*b)[i].crc = crc
		}
	})
	return p, nil
}

func (p *writing) addPrograms(programs map[string]*graph.Program) error {
	names := sortedKeys(programs)
	p.head.programs = make([]program, len(names))
	p.sources = make([]source, len(names))
	return each(len(names), func(i int) error {
		q := programs[names[i]]
		if q == nil {
			return fmt.Errorf("checkpoint: program %q is nil", names[i])
		}
		code, err := q.Encode()
		if err != nil {
			return fmt.Errorf("checkpoint: program %q: %w", names[i], err)
		}
		p.head.programs[i] = program{names[i], chunks(code)}
		p.sources[i] = stored(array.Value{Values: code})
		return nil
	})
}

// addLevels fills in tensors, parts and levels. Parts go into the file as the levels need them, the level that reads least
// first, so that every level of a stack reads a prefix.
func (p *writing) addLevels(levels []Level) error {
	for _, l := range levels {
		for name, v := range l.Tensors {
			p.head.tensors = append(p.head.tensors, tensor{name, v.DType, v.Dims})
		}
	}
	slices.SortFunc(p.head.tensors, tensor.compare)
	p.head.tensors = slices.CompactFunc(p.head.tensors, func(t, u tensor) bool { return t.compare(u) == 0 })
	at := make([][]*variant, len(p.head.tensors)) // by tensor, by level
	err := each(len(at), func(i int) error {
		t := p.head.tensors[i]
		values := make([]*array.Value, len(levels))
		for j, l := range levels {
			if v, ok := l.Tensors[t.name]; ok && t.compare(tensor{t.name, v.DType, v.Dims}) == 0 {
				values[j] = &v
			}
		}
		var err error
		if at[i], err = plan(t, values); err != nil {
			return fmt.Errorf("checkpoint: tensor %q: %w", t.name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.head.levels = make([]level, len(levels))
	number := map[*planned]int{}
	for _, j := range readOrder(at, len(levels)) {
		p.head.levels[j] = level{name: levels[j].Name, notes: levels[j].Notes}
		for i := range at {
			if v := at[i][j]; v != nil {
				p.head.levels[j].entries = append(p.head.levels[j].entries, p.addEntry(i, v, number))
			}
		}
	}
	return nil
}

// addEntry adds the parts of v, the variant of tensor i, that have no number yet.
func (p *writing) addEntry(i int, v *variant, number map[*planned]int) entry {
	e := entry{tensor: i, form: formOf(v.value), stored: int64(v.stored())}
	for _, x := range v.parts {
		k, ok := number[x]
		if !ok {
			k = len(p.head.parts)
			number[x] = k
			p.head.parts = append(p.head.parts, part{i, x.form, x.index, x.values})
			p.sources = append(p.sources, x.bytes)
		}
		e.parts = append(e.parts, k)
	}
	return e
}

// readOrder returns the levels by how many bytes each has to read.
func readOrder(at [][]*variant, levels int) []int {
	reads := make([]int64, levels)
	for i := range at {
		for j, v := range at[i] {
			if v == nil {
				continue
			}
			for _, x := range v.parts {
				reads[j] += x.index.len() + x.values.len()
			}
		}
	}
	order := make([]int, levels)
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(reads[a], reads[b]) })
	return order
}

func (p *writing) addState(s *State) {
	names := sortedKeys(s.Tensors)
	tensors := make([]stateTensor, len(names))
	each(len(names), func(i int) error {
		v := s.Tensors[names[i]]
		tensors[i] = stateTensor{tensor{names[i], v.DType, v.Dims}, formOf(v), chunks(v.Index), chunks(v.Values)}
		return nil
	})
	p.head.state = &state{s.Ints, tensors}
	for _, name := range names {
		p.sources = append(p.sources, stored(s.Tensors[name]))
	}
}

func (p *writing) write(to io.Writer, head []byte) error {
	w := bufio.NewWriterSize(to, 1<<16)
	h := pack.NewWriter()
	h.Bin(binary.LittleEndian.AppendUint32(nil, checksum(head)))
	h.Bin(head)
	if _, err := w.WriteString(magic); err != nil {
		return err
	}
	if _, err := w.Write(h.Bytes()); err != nil {
		return err
	}
	end := int64(len(magic) + h.Len())
	data := dataStart(end)
	var left blob
	p.head.blobs(func(b *blob) { left = append(left, *b...) })
	for _, source := range p.sources {
		index, values, err := source()
		if err != nil {
			return err
		}
		for _, content := range [][]byte{index, values} {
			for piece := range slices.Chunk(content, chunkBytes) {
				if len(left) == 0 || left[0].n != int64(len(piece)) {
					return errChanged
				}
				if _, err := w.Write(gap(left[0], end, data)); err != nil {
					return err
				}
				if err := left[0].write(w, piece); err != nil {
					return err
				}
				left = left[1:]
			}
		}
	}
	if len(left) > 0 {
		return errChanged
	}
	return w.Flush()
}

var errChanged = errors.New("checkpoint: a tensor changed while it was written")

// pieceBytes are written at a time, so that they are still in the cache when their checksum is taken.
const pieceBytes = 256 << 10

// write writes the content of c. Only what has left the caller's memory counts: its checksum is taken after it is written.
func (c chunk) write(w io.Writer, content []byte) error {
	crc := uint32(0)
	for piece := range slices.Chunk(content, pieceBytes) {
		if _, err := w.Write(piece); err != nil {
			return err
		}
		crc = crc32.Update(crc, castagnoli, piece)
	}
	if crc != c.crc {
		return errChanged
	}
	return nil
}

// gap returns the bytes between the end of what is before chunk c and its content: the padding, and the beginning of its binary.
func gap(c chunk, headerEnd, data int64) []byte {
	w := pack.NewWriter()
	w.Bin(make([]byte, data+c.off-c.start(headerEnd, data)-2-binHeader(c.n)))
	w.BinHeader(int(c.n))
	return w.Bytes()
}

// start returns the place in the file where the padding before c begins.
func (c chunk) start(headerEnd, data int64) int64 {
	if c.off == 0 {
		return headerEnd
	}
	return data + c.before
}
