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

// Write writes f. It reads f's tensors twice, first on all cores, and copies at most one tensor for
// each core. Equal content gives equal bytes.
//
// When a tensor changes before all of it is written, because a training continues, Write returns an
// error.
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
	// A reader refuses unprintable names, wrong ports and whatever exceeds a limit: so does Write.
	if _, _, err := decodeHeader(version, head); err != nil {
		return fmt.Errorf("checkpoint: content that a file cannot hold: table of contents %w", err)
	}
	return p.write(w, head)
}

// writing is a file to write: its header, and the sources of its blobs in file order.
type writing struct {
	head    header
	sources []source
}

func newWriting(f *File) (*writing, error) {
	p := &writing{head: header{info: f.Info}}
	for _, s := range f.Info.Steps {
		p.head.steps = append(p.head.steps, p.addSet(s.Tensors))
	}
	if err := p.addPrograms(f); err != nil {
		return nil, err
	}
	if err := p.addLevels(f.Levels); err != nil {
		return nil, err
	}
	for i, l := range f.Levels {
		to := &p.head.levels[i]
		quantization, activations := encodeQuantizations(quantizationOf(l.Tensors)), encodeQuantizations(l.Activations)
		to.quantization, to.activations = chunks(quantization), chunks(activations)
		p.sources = append(p.sources, bytesOf(array.Value{Index: quantization, Values: activations}))
	}
	if f.State != nil {
		p.head.state = &state{f.State.Ints, p.addSet(f.State.Tensors)}
	}
	p.head.layOut()
	return p, nil
}

// layOut gives all chunks their offsets.
func (h *header) layOut() {
	var l layout
	h.blobs(func(b *blob) {
		for i, c := range *b {
			(*b)[i] = l.next(c.n)
			(*b)[i].crc = c.crc
		}
	})
}

// addSet adds the sources of tensors of one part each.
func (p *writing) addSet(values map[string]array.Value) tensorSet {
	names := sortedKeys(values)
	parts := make([]part, len(names))
	each(len(names), func(i int) error {
		v := values[names[i]]
		parts[i] = part{tensor: tensor{names[i], v.DType, v.Dims}, encoding: encodingOf(v), index: chunks(v.Index), values: chunks(v.Values)}
		return nil
	})
	for _, name := range names {
		p.sources = append(p.sources, bytesOf(values[name]))
	}
	quantization := encodeQuantizations(quantizationOf(values))
	p.sources = append(p.sources, bytesOf(array.Value{Index: quantization}))
	return tensorSet{parts, chunks(quantization)}
}

// addPrograms adds the programs of the file, and of its levels to p.head.levels. Equal ones share
// their code.
func (p *writing) addPrograms(f *File) error {
	number := map[string]int{} // by code
	add := func(programs map[string]*graph.Program) ([]program, error) {
		names := sortedKeys(programs)
		code := make([][]byte, len(names))
		err := each(len(names), func(i int) (err error) {
			q := programs[names[i]]
			if q == nil {
				return fmt.Errorf("program %q is nil", names[i])
			}
			if code[i], err = q.Encode(); err != nil {
				return fmt.Errorf("program %q: %w", names[i], err)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		var added []program
		for i, name := range names {
			k, ok := number[string(code[i])]
			if !ok {
				k = len(p.head.code)
				number[string(code[i])] = k
				p.head.code = append(p.head.code, chunks(code[i]))
				p.sources = append(p.sources, bytesOf(array.Value{Values: code[i]}))
			}
			added = append(added, program{name, k})
		}
		return added, nil
	}
	var err error
	if p.head.programs, err = add(f.Programs); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	p.head.levels = make([]level, len(f.Levels))
	for i, l := range f.Levels {
		p.head.levels[i] = level{name: l.Name, notes: l.Notes}
		if p.head.levels[i].programs, err = add(l.Programs); err != nil {
			return fmt.Errorf("checkpoint: level %q, %w", l.Name, err)
		}
		for name, q := range l.Programs {
			if shared := f.Programs[name]; shared != nil { // decodeHeader refuses nil
				if err := sameInterface(q, shared); err != nil {
					return fmt.Errorf("checkpoint: level %q, program %q: %w", l.Name, name, err)
				}
			}
		}
	}
	return nil
}

// sameInterface returns an error unless p, at a level, has the inputs and the outputs of shared,
// the program that it replaces. Both are verified.
func sameInterface(p, shared *graph.Program) error {
	same := func(what string, a, b []graph.Port) error {
		if len(a) != len(b) {
			return fmt.Errorf("want %d %ss as the program that it replaces, got %d", len(b), what, len(a))
		}
		for i := range a {
			got, want := p.Types[a[i].ID], shared.Types[b[i].ID]
			if a[i].Name != b[i].Name || !got.Equal(want) {
				return fmt.Errorf("%s %d: want %q %v as the program that it replaces, got %q %v", what, i, b[i].Name, want, a[i].Name, got)
			}
		}
		return nil
	}
	if err := same("input", p.Inputs, shared.Inputs); err != nil {
		return err
	}
	return same("output", p.Outputs, shared.Outputs)
}

// addLevels adds the tensors of the levels. The parts are in the order in which levels need them,
// the level that reads the fewest bytes first: so every level of a stack reads a prefix.
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
				v.Quantization = nil // is in a blob of the level
				values[j] = &v
			}
		}
		var err error
		if at[i], err = split(t, values); err != nil {
			return fmt.Errorf("checkpoint: tensor %q: %w", t.name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	number := map[*newPart]int{}
	for _, j := range readOrder(at, len(levels)) {
		for i := range at {
			if v := at[i][j]; v != nil {
				p.head.levels[j].entries = append(p.head.levels[j].entries, p.addEntry(i, v, number))
			}
		}
	}
	return nil
}

// addEntry returns the entry of v, a variant of tensor i, and adds its parts that have no number
// yet.
func (p *writing) addEntry(i int, v *variant, number map[*newPart]int) entry {
	e := entry{tensor: i, encoding: encodingOf(v.value), stored: int64(v.stored())}
	for _, x := range v.parts {
		k, ok := number[x]
		if !ok {
			k = len(p.head.parts)
			number[x] = k
			p.head.parts = append(p.head.parts, part{p.head.tensors[i], i, x.encoding, x.index, x.values})
			p.sources = append(p.sources, x.bytes)
		}
		e.parts = append(e.parts, k)
	}
	return e
}

// readOrder returns the levels, sorted by the bytes of their parts.
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

func (p *writing) write(to io.Writer, head []byte) error {
	w := bufio.NewWriterSize(to, 1<<16)
	h := pack.NewWriter()
	h.Bin(binary.LittleEndian.AppendUint32(nil, checksum(head)))
	h.Bin(head)
	if _, err := w.WriteString(magic + string(rune(version))); err != nil {
		return err
	}
	if _, err := w.Write(h.Bytes()); err != nil {
		return err
	}
	end := int64(len(magic) + 1 + h.Len())
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

// pieceBytes are written at a time, so that they are still in the cache for their checksum.
const pieceBytes = 256 << 10

// write writes the content of c. It computes the checksum of a piece after writing it, and so
// detects a change in between.
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
