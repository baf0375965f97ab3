package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// A source produces the two blobs of a part. It is called twice, for the header and for the data, so that a file is
// written without a second copy of the model in memory.
type source func() (index, values []byte, err error)

func stored(v array.Value) source {
	return func() ([]byte, []byte, error) { return v.Index, v.Values, nil }
}

// A planned part is one that the writer will write. Parts are compared by address.
type planned struct {
	form          form
	index, values blob   // measured, not yet placed
	bytes         source // to write
}

// measured plans a part of these bytes, which the source will produce again.
func measured(f form, index, values []byte, again source) *planned {
	return &planned{f, chunks(index), chunks(values), again}
}

// chunks cuts content and computes checksums. Offsets are left for the layout.
func chunks(content []byte) blob {
	var b blob
	for piece := range slices.Chunk(content, chunkBytes) {
		b = append(b, chunk{n: int64(len(piece)), crc: checksum(piece)})
	}
	return b
}

// A variant is one of the different values that a tensor has at the levels of a file.
type variant struct {
	value array.Value
	parts []*planned
	alone bool // its one part is the value itself, zeros that it stores included
}

// standAlone makes the value the one part of the variant.
func (v *variant) standAlone() {
	v.alone = true
	v.parts = []*planned{measured(formOf(v.value), v.value.Index, v.value.Values, stored(v.value))}
}

// stored returns how many elements a reader will find stored.
func (v *variant) stored() int {
	if v.alone || v.value.Encoding == array.Dense || v.value.Encoding == array.GroupNM {
		return v.value.Stored()
	}
	n, w := 0, words{v.value.Values, v.value.DType.Bytes(1)} // put together again, zeros are not stored
	for i := range w.len() {
		if w.at(i) != 0 {
			n++
		}
	}
	return n
}

// plan finds the parts of one tensor, given its value at each level (nil where a level lacks it), and returns for each level
// the variant that it has. Equal values are one variant. Sparse variants that nest become a stack, sparsest first, with a dense
// one on top if it agrees; other sparse variants are masks over a dense one where they agree with it, and stand alone where not.
func plan(t tensor, values []*array.Value) ([]*variant, error) {
	at := make([]*variant, len(values))
	var sparse, whole []*variant
	for i, v := range values {
		if v == nil {
			continue
		}
		at[i] = findEqual(append(slices.Clip(sparse), whole...), *v)
		if at[i] != nil {
			continue
		}
		at[i] = &variant{value: *v}
		if v.Encoding == array.Dense {
			whole = append(whole, at[i])
		} else {
			sparse = append(sparse, at[i])
		}
	}
	rest, err := stackUp(t, sparse, whole)
	if err != nil {
		return nil, err
	}
	for _, v := range whole {
		if v.parts == nil {
			v.standAlone()
		}
	}
	for _, v := range rest {
		over, err := agreeing(v, whole)
		if err != nil {
			return nil, err
		}
		if over == nil {
			v.standAlone()
			continue
		}
		mask, _, err := v.mask()
		if err != nil {
			return nil, err
		}
		v.parts = append(slices.Clone(over.parts), measured(form{kind: masked}, mask, nil, v.mask))
	}
	return at, nil
}

func findEqual(among []*variant, v array.Value) *variant {
	for _, o := range among {
		if formOf(o.value) == formOf(v) && bytes.Equal(o.value.Index, v.Index) && bytes.Equal(o.value.Values, v.Values) {
			return o
		}
	}
	return nil
}

// stackUp finds the stack among the variants of a tensor, gives its members their parts, and returns the sparse variants that are
// not in it.
func stackUp(t tensor, sparse, whole []*variant) (left []*variant, err error) {
	slices.SortStableFunc(sparse, func(a, b *variant) int { return cmp.Compare(a.value.Stored(), b.value.Stored()) })
	var stack []*variant
	for _, v := range sparse {
		fits := v.value.Encoding != array.GroupNM
		if fits && len(stack) > 0 {
			if fits, err = nests(stack[len(stack)-1], v); err != nil {
				return nil, err
			}
		}
		if fits {
			stack = append(stack, v)
		} else {
			left = append(left, v)
		}
	}
	if len(stack) > 0 {
		top, err := agreeing(stack[len(stack)-1], whole)
		if err != nil {
			return nil, err
		}
		if top != nil {
			stack = append(stack, top)
		}
	}
	if len(stack) == 1 {
		return append(left, stack...), nil
	}
	var below *variant
	for _, v := range stack {
		p, err := increment(t, below, v)
		if err != nil {
			return nil, err
		}
		if below != nil {
			v.parts = slices.Clone(below.parts)
		}
		v.parts = append(v.parts, p)
		below = v
	}
	return left, nil
}

// agreeing returns the first of the given variants in which v nests, or nil.
func agreeing(v *variant, among []*variant) (*variant, error) {
	for _, o := range among {
		if ok, err := nests(v, o); ok || err != nil {
			return o, err
		}
	}
	return nil, nil
}

// nests reports whether every element of a that is not zero is the same in b.
func nests(a, b *variant) (bool, error) {
	x, err := a.words()
	if err != nil {
		return false, err
	}
	y, err := b.words()
	if err != nil {
		return false, err
	}
	for i := range x.len() {
		if e := x.at(i); e != 0 && e != y.at(i) {
			return false, nil
		}
	}
	return true, nil
}

// increment plans the part that v adds to below, which nests in it, or to nothing.
func increment(t tensor, below, v *variant) (*planned, error) {
	switch {
	case below == nil && v.stored() == v.value.Stored():
		return measured(formOf(v.value), v.value.Index, v.value.Values, stored(v.value)), nil
	case v.value.Encoding == array.Dense:
		again := func() ([]byte, []byte, error) { return complement(t, below, v) }
		index, values, err := again()
		return measured(form{kind: rest}, index, values, again), err
	}
	f := formOf(v.value) // what a reader of the lowest level alone returns
	part, err := added(below, v)
	if err != nil {
		return nil, err
	}
	if below != nil {
		small, err := part.Smallest()
		if err != nil {
			return nil, err
		}
		// Dense would leave no room for the parts below.
		if f = formOf(small); f.kind == dense {
			f.kind = bitmask
		}
	}
	first, err := f.encode(part)
	if err != nil {
		return nil, err
	}
	return measured(f, first.Index, first.Values, func() ([]byte, []byte, error) {
		part, err := added(below, v)
		if err != nil {
			return nil, nil, err
		}
		again, err := f.encode(part)
		return again.Index, again.Values, err
	}), nil
}

// added returns v with zeros where below is not zero.
func added(below, v *variant) (array.Tensor, error) {
	x, err := v.value.Decode()
	if err != nil || below == nil {
		return x, err
	}
	under, err := below.words()
	if err != nil {
		return x, err
	}
	w := wordsOf(x)
	for i := range w.len() {
		if under.at(i) != 0 {
			w.set(i, 0)
		}
	}
	return x, nil
}

// complement returns the elements of v where below is zero.
func complement(t tensor, below, v *variant) (index, values []byte, err error) {
	under, err := below.words()
	if err != nil {
		return nil, nil, err
	}
	x, err := v.words()
	if err != nil {
		return nil, nil, err
	}
	values = make([]byte, 0, t.dtype.Bytes(x.len()))
	for i := range x.len() {
		if under.at(i) == 0 {
			values = append(values, x.data[i*x.size:(i+1)*x.size]...)
		}
	}
	return nil, values, nil
}

// mask returns which elements of v are not zero. A zero that v stores is none: what the mask lies over may have something else there.
func (v *variant) mask() (index, values []byte, err error) {
	w, err := v.words()
	if err != nil {
		return nil, nil, err
	}
	index = make([]byte, array.Bit.Bytes(w.len()))
	for i := range w.len() {
		if w.at(i) != 0 {
			index[i/8] |= 1 << (i % 8)
		}
	}
	return index, nil, nil
}

// words are the elements of a tensor as bytes, whatever their type.
type words struct {
	data []byte
	size int
}

func wordsOf(t array.Tensor) words { return words{t.Data, t.DType.Bytes(1)} }

// words decodes the variant; a dense one is not copied.
func (v *variant) words() (words, error) {
	if v.value.Encoding == array.Dense {
		return words{v.value.Values, v.value.DType.Bytes(1)}, nil
	}
	t, err := v.value.Decode()
	if err != nil {
		return words{}, fmt.Errorf("checkpoint: %w", err)
	}
	return wordsOf(t), nil
}

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
