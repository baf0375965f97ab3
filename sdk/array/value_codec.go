package array

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Encode returns t as Dense, Bitmask or Index16; for GroupNM see [Tensor.EncodeNM]. The sparse
// encodings store exactly the elements that have a bit set, so that Decode returns t bit for bit.
// Dense shares t's memory, as [DenseValue] does. A Bit tensor can be Dense only.
func (t Tensor) Encode(e Encoding) (Value, error) {
	if err := t.Check(); err != nil {
		return Value{}, err
	}
	if e != Dense && t.DType == Bit {
		return Value{}, fmt.Errorf("array: encode %v%v as %v: bits are stored dense only", t.DType, t.Dims, e)
	}
	switch e {
	case Dense:
		v := DenseValue(t)
		return v, v.Check()
	case Bitmask:
		return t.bitmask(t.nonzero()), nil
	case Index16:
		return t.index16(t.nonzero()), nil
	}
	return Value{}, fmt.Errorf("array: encode %v%v: want dense, bitmask or index16, got %v; nm needs EncodeNM", t.DType, t.Dims, e)
}

// Smallest returns t in the encoding of [Tensor.Encode] that takes the fewest bytes. For 32-bit
// elements it is Dense below 3.1 % zeros, Bitmask below 93.75 %, and Index16 above.
func (t Tensor) Smallest() (Value, error) {
	if err := t.Check(); err != nil {
		return Value{}, err
	}
	if t.DType == Bit {
		return t.Encode(Dense)
	}
	n, stored := t.Len(), t.nonzero()
	size := t.DType.Bytes(1)
	dense, mask, index := n*size, Bit.Bytes(n)+stored*size, (n+run-1)/run*4+stored*(2+size)
	switch {
	case dense <= mask && dense <= index:
		return t.Encode(Dense)
	case mask <= index:
		return t.bitmask(stored), nil
	}
	return t.index16(stored), nil
}

// isZero reports whether no bit of element i of the given size is set.
func isZero(data []byte, i, size int) bool {
	switch size {
	case 1:
		return data[i] == 0
	case 2:
		return binary.NativeEndian.Uint16(data[2*i:]) == 0
	case 4:
		return binary.NativeEndian.Uint32(data[4*i:]) == 0
	}
	return binary.NativeEndian.Uint64(data[8*i:]) == 0
}

// copyElement copies one element of the given size. It is faster than copy, which is a call.
func copyElement(to, from []byte, size int) {
	switch size {
	case 1:
		to[0] = from[0]
	case 2:
		binary.NativeEndian.PutUint16(to, binary.NativeEndian.Uint16(from))
	case 4:
		binary.NativeEndian.PutUint32(to, binary.NativeEndian.Uint32(from))
	default:
		binary.NativeEndian.PutUint64(to, binary.NativeEndian.Uint64(from))
	}
}

// nonzero counts the elements that have a bit set.
func (t Tensor) nonzero() int {
	size, count := t.DType.Bytes(1), 0
	for i := range t.Len() {
		if !isZero(t.Data, i, size) {
			count++
		}
	}
	return count
}

func (t Tensor) bitmask(stored int) Value {
	v := Value{Encoding: Bitmask, DType: t.DType, Dims: t.Dims}
	v.Index = make([]byte, Bit.Bytes(t.Len()))
	v.Values = make([]byte, t.DType.Bytes(stored))
	size, to := t.DType.Bytes(1), v.Values
	for i := range t.Len() {
		if !isZero(t.Data, i, size) {
			v.Index[i/8] |= 1 << (i % 8)
			copyElement(to, t.Data[i*size:], size)
			to = to[size:]
		}
	}
	return v
}

func (t Tensor) index16(stored int) Value {
	v := Value{Encoding: Index16, DType: t.DType, Dims: t.Dims}
	counts := 4 * ((t.Len() + run - 1) / run)
	v.Index = make([]byte, counts, counts+2*stored)
	v.Values = make([]byte, t.DType.Bytes(stored))
	size, to := t.DType.Bytes(1), v.Values
	for i := range t.Len() {
		if !isZero(t.Data, i, size) {
			count := v.Index[4*(i/run):]
			binary.LittleEndian.PutUint32(count, binary.LittleEndian.Uint32(count)+1)
			v.Index = binary.LittleEndian.AppendUint16(v.Index, uint16(i%run))
			copyElement(to, t.Data[i*size:], size)
			to = to[size:]
		}
	}
	return v
}

// EncodeNM returns t as GroupNM, which stores exactly n of each m consecutive elements along axis;
// m is at most 256. A group with more than n elements that have a bit set is an error. A group with
// fewer also stores the zeros with the lowest offsets.
func (t Tensor) EncodeNM(n, m, axis int) (Value, error) {
	v := Value{Encoding: GroupNM, DType: t.DType, Dims: t.Dims, N: n, M: m, Axis: axis}
	if err := t.Check(); err != nil {
		return Value{}, err
	}
	if axis < 0 || axis >= len(t.Dims) || m < 1 || m > maxM || n < 1 || n > m || t.Dims[axis]%m != 0 || t.DType == Bit {
		return Value{}, fmt.Errorf("array: encode %v%v: %d:%d along axis %d does not fit", t.DType, t.Dims, n, m, axis)
	}
	width, stored := groupBits(m), t.Len()/m*n
	v.Index = make([]byte, (stored*width+7)/8)
	v.Values = make([]byte, t.DType.Bytes(stored))
	size, k := t.DType.Bytes(1), 0
	for g := range t.Len() / m {
		first, step := v.group(g)
		spare := n
		for o := range m {
			if !isZero(t.Data, first+o*step, size) {
				spare--
			}
		}
		if spare < 0 {
			return Value{}, fmt.Errorf("array: encode %v%v as %d:%d along axis %d: the group at element %d has %d that are not zero",
				t.DType, t.Dims, n, m, axis, first, n-spare)
		}
		for o := range m {
			i := first + o*step
			if isZero(t.Data, i, size) {
				if spare == 0 {
					continue
				}
				spare--
			}
			putBits(v.Index, k*width, o)
			copyElement(v.Values[k*size:], t.Data[i*size:], size)
			k++
		}
	}
	return v, nil
}

// group returns the first element of group g of a GroupNM value and the distance between its
// neighbours.
func (v Value) group(g int) (first, step int) {
	inner := Count(v.Dims[v.Axis+1:])
	return g/inner*v.M*inner + g%inner, inner
}

// putBits writes o into b, whose bits from bit at on are zero.
func putBits(b []byte, at, o int) {
	if o == 0 {
		return
	}
	x := o << (at % 8)
	b[at/8] |= byte(x)
	if x > 0xff {
		b[at/8+1] |= byte(x >> 8)
	}
}

// Decode checks v and returns its tensor, which shares no memory with v. For a value with a
// [Quantization] it returns the integers.
func (v Value) Decode() (Tensor, error) {
	if err := v.Check(); err != nil {
		return Tensor{}, err
	}
	t, err := New(v.DType, v.Dims...)
	if err != nil {
		return Tensor{}, err
	}
	if v.Encoding == Dense {
		copy(t.Data, v.Values)
		return t, nil
	}
	size, values := v.DType.Bytes(1), v.Values
	v.each(func(i int) {
		copyElement(t.Data[i*size:], values, size)
		values = values[size:]
	})
	return t, nil
}

// Mask returns which elements of a checked value are stored, as a Bit tensor.
func (v Value) Mask() (Tensor, error) {
	if err := v.Check(); err != nil {
		return Tensor{}, err
	}
	t, err := New(Bit, v.Dims...)
	if err != nil {
		return Tensor{}, err
	}
	v.each(t.SetBit)
	return t, nil
}

// each calls visit with the number of each stored element of a checked value, in the order of
// Values.
func (v Value) each(visit func(i int)) {
	switch v.Encoding {
	case Dense:
		for i := range v.Len() {
			visit(i)
		}
	case Bitmask:
		for j, c := range v.Index {
			for ; c != 0; c &= c - 1 {
				visit(8*j + bits.TrailingZeros8(c))
			}
		}
	case Index16:
		runs := (v.Len() + run - 1) / run
		offsets := v.Index[4*runs:]
		for r := range runs {
			for range binary.LittleEndian.Uint32(v.Index[4*r:]) {
				visit(r*run + int(binary.LittleEndian.Uint16(offsets)))
				offsets = offsets[2:]
			}
		}
	case GroupNM:
		width, k := groupBits(v.M), 0
		for g := range v.Len() / v.M {
			first, step := v.group(g)
			for range v.N {
				visit(first + packedBits(v.Index, k*width, width)*step)
				k++
			}
		}
	}
}
