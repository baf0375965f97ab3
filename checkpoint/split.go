package checkpoint

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// A source returns the content of two blobs, those of a part for example. The writer calls it
// twice, for the header and for the data, and so needs no second copy of the model in memory.
type source func() (index, values []byte, err error)

// bytesOf returns the source of the bytes of v.
func bytesOf(v array.Value) source {
	return func() ([]byte, []byte, error) { return v.Index, v.Values, nil }
}

// A newPart is a part to write. Pointers identify parts.
type newPart struct {
	encoding      encoding
	index, values blob   // without offsets
	bytes         source // to write
}

// measured returns a part with these bytes, which the source returns again.
func measured(e encoding, index, values []byte, again source) *newPart {
	return &newPart{e, chunks(index), chunks(values), again}
}

// chunks cuts content into chunks with checksums but without offsets.
func chunks(content []byte) blob {
	var b blob
	for piece := range slices.Chunk(content, chunkBytes) {
		b = append(b, chunk{n: int64(len(piece)), crc: checksum(piece)})
	}
	return b
}

// A variant is one of the different values of a tensor at the levels of a file.
type variant struct {
	value array.Value
	parts []*newPart
	alone bool // its one part is the value itself, with the zeros that the value stores
}

// standAlone makes the value the only part of the variant.
func (v *variant) standAlone() {
	v.alone = true
	v.parts = []*newPart{measured(encodingOf(v.value), v.value.Index, v.value.Values, bytesOf(v.value))}
}

// stored returns how many elements are stored in the value that a reader returns.
func (v *variant) stored() int {
	if v.alone || v.value.Encoding == array.Dense || v.value.Encoding == array.GroupNM {
		return v.value.Stored()
	}
	n, w := 0, words{v.value.Values, v.value.DType.Bytes(1)} // from several parts: without zeros
	for i := range w.len() {
		if w.at(i) != 0 {
			n++
		}
	}
	return n
}

// split divides the values of one tensor into parts. values[i] is the value at level i, nil if the
// level lacks the tensor; the result has the variant of each level. Equal values are one variant.
// Sparse variants that nest become a stack, the sparsest first, and a dense variant that has all
// their elements is the stack with the rest. Another sparse variant is a mask over a dense one that
// has its elements, or else a part of its own.
func split(t tensor, values []*array.Value) ([]*variant, error) {
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
		v.parts = append(slices.Clone(over.parts), measured(encoding{kind: masked}, mask, nil, v.mask))
	}
	return at, nil
}

func findEqual(among []*variant, v array.Value) *variant {
	for _, o := range among {
		if encodingOf(o.value) == encodingOf(v) && bytes.Equal(o.value.Index, v.Index) && bytes.Equal(o.value.Values, v.Values) {
			return o
		}
	}
	return nil
}

// stackUp sets the parts of the variants that nest, and returns the sparse variants that do not.
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

// agreeing returns the first of the given variants in which v nests, nil if there is none.
func agreeing(v *variant, among []*variant) (*variant, error) {
	for _, o := range among {
		if ok, err := nests(v, o); ok || err != nil {
			return o, err
		}
	}
	return nil, nil
}

// nests reports whether b has all elements of a that are not zero.
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

// increment returns the part that v adds to below, which nests in v, or to nothing when below is
// nil.
func increment(t tensor, below, v *variant) (*newPart, error) {
	switch {
	case below == nil && v.stored() == v.value.Stored():
		return measured(encodingOf(v.value), v.value.Index, v.value.Values, bytesOf(v.value)), nil
	case v.value.Encoding == array.Dense:
		again := func() ([]byte, []byte, error) { return complement(t, below, v) }
		index, values, err := again()
		return measured(encoding{kind: rest}, index, values, again), err
	}
	e := encodingOf(v.value) // a reader of the lowest level alone returns it
	part, err := added(below, v)
	if err != nil {
		return nil, err
	}
	if below != nil {
		small, err := part.Smallest()
		if err != nil {
			return nil, err
		}
		// A dense part cannot come after others.
		if e = encodingOf(small); e.kind == dense {
			e.kind = bitmask
		}
	}
	first, err := e.encode(part)
	if err != nil {
		return nil, err
	}
	return measured(e, first.Index, first.Values, func() ([]byte, []byte, error) {
		part, err := added(below, v)
		if err != nil {
			return nil, nil, err
		}
		again, err := e.encode(part)
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

// mask returns a bit for each element of v: 1 if it is not zero. The bit of a zero that v stores is
// 0, because the dense variant may have another element there.
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

// words returns the elements of v. Those of a dense variant are not copied.
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
