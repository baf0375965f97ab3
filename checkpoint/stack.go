package checkpoint

import (
	"encoding/binary"
	"math/bits"

	"github.com/compressaware/cram/sdk/array"
)

// runLength is how many elements of a stack are put together at a time, those that one count of index16 covers.
const runLength = 1 << 16

// A stack is sparse parts of one tensor that store different elements. It is put together run by run, so that it takes no more memory than its
// parts and what becomes of them, however large the tensor.
type stack struct {
	tensor tensor
	layers []layer
	run    int // that comes next
	// The present run: which of its elements are stored, whether any is, and these at their places among others that mean nothing.
	stored [runLength / 64]uint64
	some   bool
	values []byte
}

// A layer is what is left of one part.
type layer struct {
	kind   kind
	counts []byte // of index16
	index  []byte // offsets of index16, or bits
	values []byte
	at     int64 // place in the file, for messages
}

func (c *Reader) stack(t tensor, parts []part) (*stack, error) {
	s := &stack{tensor: t, values: make([]byte, runLength*t.dtype.Bytes(1))}
	for _, p := range parts {
		v, err := c.value(t, p.form, p.index, p.values)
		if err != nil {
			return nil, err
		}
		if err := c.noZeros(t, v, p); err != nil {
			return nil, err
		}
		l := layer{kind: p.form.kind, index: v.Index, values: v.Values, at: c.at(p.values)}
		if l.kind == index16 {
			runs := 4 * s.runs()
			l.counts, l.index = l.index[:runs], l.index[runs:]
		}
		s.layers = append(s.layers, l)
	}
	return s, nil
}

// noZeros refuses zeros stored in a part of a stack: in a sum they would be neither there nor not.
func (c *Reader) noZeros(t tensor, v array.Value, p part) error {
	w := words{v.Values, v.DType.Bytes(1)}
	for i := range w.len() {
		if w.at(i) == 0 {
			return damaged(c.at(p.values)+int64(i*w.size), "tensor %v: a part of several stores a zero", t)
		}
	}
	return nil
}

func (s *stack) len() int  { return array.Count(s.tensor.dims) }
func (s *stack) runs() int { return (s.len() + runLength - 1) / runLength }

// next puts the next run together and returns how many elements it has.
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

// add adds what l stores of the next run, of n elements.
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
	size := s.tensor.dtype.Bytes(1)
	copy(s.values[i*size:(i+1)*size], l.values)
	l.values = l.values[size:]
	return nil
}

// encode puts all runs together as a value of form f, bitmask or index16, that stores so many elements.
func (s *stack) encode(f form, stored int64) (array.Value, error) {
	size := s.tensor.dtype.Bytes(1)
	values := make([]byte, 0, int(stored)*size)
	var index []byte
	if f.kind == index16 {
		index = make([]byte, 4*s.runs(), 4*s.runs()+2*int(stored))
	} else {
		index = make([]byte, 0, (s.len()+63)/64*8)
	}
	for k := range s.runs() {
		n, err := s.next()
		if err != nil {
			return array.Value{}, err
		}
		if f.kind == index16 && !s.some {
			continue
		}
		before := len(values)
		for w, word := range s.stored[:(n+63)/64] {
			if f.kind == bitmask {
				index = binary.LittleEndian.AppendUint64(index, word)
			}
			for ; word != 0; word &= word - 1 {
				i := 64*w + bits.TrailingZeros64(word)
				if f.kind == index16 {
					index = binary.LittleEndian.AppendUint16(index, uint16(i))
				}
				values = append(values, s.values[i*size:(i+1)*size]...)
			}
		}
		if f.kind == index16 {
			binary.LittleEndian.PutUint32(index[4*k:], uint32((len(values)-before)/size))
		}
	}
	if f.kind == bitmask {
		index = index[:array.Bit.Bytes(s.len())]
	}
	return f.value(s.tensor, index, values), nil
}

// fill puts all runs together as a tensor, with rest for the elements that no part stores: exactly so many.
func (s *stack) fill(rest []byte) (array.Tensor, error) {
	x, err := array.New(s.tensor.dtype, s.tensor.dims...)
	if err != nil {
		return x, err
	}
	size, to := s.tensor.dtype.Bytes(1), x.Data
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
