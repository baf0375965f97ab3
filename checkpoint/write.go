package checkpoint

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/graph"
)

// Write writes f. It reads f's tensors twice and copies one tensor at a time at most. Equal content gives equal bytes.
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
	p := &writing{head: header{meta: f.Meta}}
	for _, name := range sortedKeys(f.Programs) {
		if f.Programs[name] == nil {
			return nil, fmt.Errorf("checkpoint: program %q is nil", name)
		}
		code, err := f.Programs[name].Encode()
		if err != nil {
			return nil, fmt.Errorf("checkpoint: program %q: %w", name, err)
		}
		p.head.programs = append(p.head.programs, program{name, chunks(code)})
		p.sources = append(p.sources, stored(graph.Value{Values: code}))
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
	for i, t := range p.head.tensors {
		values := make([]*graph.Value, len(levels))
		for j, l := range levels {
			if v, ok := l.Tensors[t.name]; ok && t.compare(tensor{t.name, v.DType, v.Dims}) == 0 {
				values[j] = &v
			}
		}
		var err error
		if at[i], err = plan(t, values); err != nil {
			return fmt.Errorf("checkpoint: tensor %q: %w", t.name, err)
		}
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
	p.head.state = &state{ints: s.Ints}
	for _, name := range sortedKeys(s.Tensors) {
		v := s.Tensors[name]
		p.head.state.tensors = append(p.head.state.tensors, stateTensor{tensor{name, v.DType, v.Dims}, formOf(v), chunks(v.Index), chunks(v.Values)})
		p.sources = append(p.sources, stored(v))
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
				c := left[0]
				left = left[1:]
				if c.n != int64(len(piece)) || c.crc != checksum(piece) {
					return fmt.Errorf("checkpoint: a tensor changed while it was written")
				}
				if _, err := w.Write(gap(c, end, data)); err != nil {
					return err
				}
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
		}
	}
	return w.Flush()
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
