package checkpoint

import (
	"encoding/binary"
	"math/bits"

	"github.com/compressaware/cram/sdk/array"
)

// runLength is the number of elements of a stack that are put together at a time: those of one
// count of index16.
const runLength = 1 << 16

// A stack is sparse parts of one tensor that store different elements. It is put together run by
// run, so its memory is that of the parts and of the result, whatever the size of the tensor.
type stack struct {
	tensor tensor
	layers []layer
	run    int // the next one
	// The current run: which of its elements are stored, whether any is, and the elements at their
	// offsets. Elements that are not stored have arbitrary bytes.
	stored [runLength / 64]uint64
	some   bool
	values []byte
}

// A layer is the bytes of one part that are not yet taken.
type layer struct {
	kind   kind
	counts []byte // of index16
	index  []byte // offsets of index16, or bits
	values []byte
	at     int64 // offset in the file, for errors
}

// stack reads the given parts, at least one.
func (c *Reader) stack(parts []part) (*stack, error) {
	t := parts[0].tensor
	s := &stack{tensor: t, values: make([]byte, runLength*t.size())}
	for _, p := range parts {
		v, err := c.value(p)
		if err != nil {
			return nil, err
		}
		if err := c.checkNoZeros(v, p); err != nil {
			return nil, err
		}
		l := layer{kind: p.encoding.kind, index: v.Index, values: v.Values, at: c.at(p.values)}
		if l.kind == index16 {
			counts := 4 * s.runs()
			l.counts, l.index = l.index[:counts], l.index[counts:]
		}
		s.layers = append(s.layers, l)
	}
	return s, nil
}

// checkNoZeros refuses a part of a stack that stores a zero: the number of stored elements of the
// result would be ambiguous.
func (c *Reader) checkNoZeros(v array.Value, p part) error {
	w := words{v.Values, v.DType.Bytes(1)}
	for i := range w.len() {
		if w.at(i) == 0 {
			return damaged(c.at(p.values)+int64(i*w.size), "tensor %v: a part of several stores a zero", p.tensor)
		}
	}
	return nil
}

func (s *stack) len() int  { return s.tensor.len() }
func (s *stack) runs() int { return (s.len() + runLength - 1) / runLength }

// next puts the next run together and returns its number of elements.
func (s *stack) next() (n int, err error) {
	n = min(runLength, s.len()-s.run*runLength)
	if s.some {
		clear(s.stored[:])
		s.some = false
	}
	for i := range s.layers {
		if err := s.add(&s.layers[i], n); err != nil {
			return 0, err
		}
	}
	s.run++
	return n, nil
}

// add adds the elements of l in the next run, which has n elements.
func (s *stack) add(l *layer, n int) error {
	if l.kind == index16 {
		for range binary.LittleEndian.Uint32(l.counts[4*s.run:]) {
			if err := s.put(l, int(binary.LittleEndian.Uint16(l.index))); err != nil {
				return err
			}
			l.index = l.index[2:]
		}
		return nil
	}
	mask := l.index[:(n+7)/8]
	l.index = l.index[len(mask):]
	for j, c := range mask {
		for ; c != 0; c &= c - 1 {
			if err := s.put(l, 8*j+bits.TrailingZeros8(c)); err != nil {
				return err
			}
		}
	}
	return nil
}

// put takes the next value of l as element i of the run.
func (s *stack) put(l *layer, i int) error {
	word, bit := &s.stored[i/64], uint64(1)<<(i%64)
	if *word&bit != 0 {
		return damaged(l.at, "tensor %v: two parts store element %d", s.tensor, s.run*runLength+i)
	}
	*word |= bit
	s.some = true
	size := s.tensor.size()
	copy(s.values[i*size:(i+1)*size], l.values)
	l.values = l.values[size:]
	return nil
}

// encode returns the whole tensor with encoding e, bitmask or index16. stored is its number of
// stored elements.
func (s *stack) encode(e encoding, stored int64) (array.Value, error) {
	size := s.tensor.size()
	values := make([]byte, 0, int(stored)*size)
	var index []byte
	if e.kind == index16 {
		index = make([]byte, 4*s.runs(), 4*s.runs()+2*int(stored))
	} else {
		index = make([]byte, 0, (s.len()+63)/64*8)
	}
	for k := range s.runs() {
		n, err := s.next()
		if err != nil {
			return array.Value{}, err
		}
		if e.kind == index16 && !s.some {
			continue
		}
		before := len(values)
		for w, word := range s.stored[:(n+63)/64] {
			if e.kind == bitmask {
				index = binary.LittleEndian.AppendUint64(index, word)
			}
			for ; word != 0; word &= word - 1 {
				i := 64*w + bits.TrailingZeros64(word)
				if e.kind == index16 {
					index = binary.LittleEndian.AppendUint16(index, uint16(i))
				}
				values = append(values, s.values[i*size:(i+1)*size]...)
			}
		}
		if e.kind == index16 {
			binary.LittleEndian.PutUint32(index[4*k:], uint32((len(values)-before)/size))
		}
	}
	if e.kind == bitmask {
		index = index[:array.Bit.Bytes(s.len())]
	}
	return e.value(s.tensor, index, values), nil
}

// fill returns the whole tensor, with the elements of rest where no part stores one. Their number
// must be right.
func (s *stack) fill(rest []byte) (array.Tensor, error) {
	x, err := array.New(s.tensor.dtype, s.tensor.dims...)
	if err != nil {
		return x, err
	}
	size, to := s.tensor.size(), x.Data
	for range s.runs() {
		n, err := s.next()
		if err != nil {
			return x, err
		}
		for i := range n {
			if s.stored[i/64]>>(i%64)&1 == 1 {
				copy(to[:size], s.values[i*size:(i+1)*size])
			} else {
				copy(to[:size], rest)
				rest = rest[size:]
			}
			to = to[size:]
		}
	}
	return x, nil
}
