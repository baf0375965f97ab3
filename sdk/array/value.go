package array

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// An Encoding says how a Value stores its elements.
type Encoding uint8

// The encodings. In all of them the elements are in row-major order of the decoded tensor.
const (
	Dense   Encoding = iota // Values: every element
	Bitmask                 // Index: one bit an element, least significant bit first; Values: the elements whose bit is one
	Index16                 // Index: for each run of 65,536 elements a little-endian uint32 count, then for every stored element its uint16 offset in its run; Values: the stored elements
	GroupNM                 // exactly N of each M consecutive along Axis: Index: their offsets, packed in ⌈log₂ M⌉ bits each, ascending in a group; Values: the stored elements. Groups go in row-major order of the tensor with Axis divided by M
	numEncodings
)

// run is the number of elements that one count of Index16 covers.
const run = 1 << 16

// maxM is the longest group of GroupNM.
const maxM = 256

// String returns the name used in checkpoints: "dense", "bitmask", "index16", "nm".
func (e Encoding) String() string {
	if e >= numEncodings {
		return fmt.Sprintf("encoding(%d)", uint8(e))
	}
	return [...]string{"dense", "bitmask", "index16", "nm"}[e]
}

// ParseEncoding is the inverse of [Encoding.String].
func ParseEncoding(s string) (Encoding, error) {
	for e := range numEncodings {
		if e.String() == s {
			return e, nil
		}
	}
	return 0, fmt.Errorf("array: unknown encoding %q", s)
}

// A Value is a tensor as a checkpoint, a compressor or a backend's constants hold it: dense, or encoded so that zeros take no room.
//
// Elements that are not stored are zero, bit for bit: -0 counts as a number and is stored. A sparse Value may store zeros, too.
// [Tensor.Encode], [Tensor.EncodeNM] and [Tensor.Smallest] make Values, [Value.Decode] is their inverse, and
// [Value.Check] says whether one that came from elsewhere is consistent.
type Value struct {
	Encoding Encoding
	DType    DType
	Dims     []int
	Values   []byte // little-endian
	Index    []byte
	N, M     int // GroupNM
	Axis     int // GroupNM

	// Quantization maps the elements, which are I8, to real numbers. nil: the elements are the
	// numbers themselves. [Value.Decode] returns the integers, Cast(F32) the real numbers. In a
	// sparse encoding every zero of it is 0.
	Quantization *Quantization
}

// DenseValue wraps t without copying.
func DenseValue(t Tensor) Value {
	return Value{Encoding: Dense, DType: t.DType, Dims: t.Dims, Values: t.Data}
}

// Len returns the number of elements of the decoded tensor.
func (v Value) Len() int { return Count(v.Dims) }

// Stored returns the number of elements in Values.
func (v Value) Stored() int {
	if v.Encoding == Dense || v.DType.Bytes(1) == 0 {
		return v.Len()
	}
	return len(v.Values) / v.DType.Bytes(1)
}

// Bytes returns how many bytes the elements and their index take, without Quantization.
func (v Value) Bytes() int { return len(v.Values) + len(v.Index) }

// littleEndian says whether the machine stores numbers as a Value does.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Check returns an error unless all parts of v fit together, so that decoding cannot fail or read past an end. It trusts
// nothing and allocates nothing. On a big-endian machine it refuses every value: tensors are kept in native order and
// nothing here swaps bytes.
func (v Value) Check() error {
	if !littleEndian {
		return fmt.Errorf("array: values are little-endian and this machine is not; it is not supported")
	}
	if !v.DType.Valid() {
		return fmt.Errorf("array: value has %v", v.DType)
	}
	n, err := checkedCount(v.Dims)
	if err != nil {
		return fmt.Errorf("array: value: %w", err)
	}
	if v.Encoding != GroupNM && (v.N != 0 || v.M != 0 || v.Axis != 0) {
		return v.wrong("N, M and Axis are %d, %d, %d, want zeros", v.N, v.M, v.Axis)
	}
	if v.Encoding != Dense && v.DType == Bit {
		return v.wrong("bits are stored dense only")
	}
	if err := v.checkQuantization(); err != nil {
		return err
	}
	switch v.Encoding {
	case Dense:
		return v.checkDense(n)
	case Bitmask:
		return v.checkBitmask(n)
	case Index16:
		return v.checkIndex16(n)
	case GroupNM:
		return v.checkGroups(n)
	}
	return v.wrong("unknown encoding")
}

func (v Value) wrong(format string, args ...any) error {
	return fmt.Errorf("array: %v value %v%v: %w", v.Encoding, v.DType, v.Dims, fmt.Errorf(format, args...))
}

// checkedCount is Count of extents that nobody vouches for.
func checkedCount(dims []int) (int, error) {
	n := 1
	for i, d := range dims {
		if d < 1 || n > (1<<46)/d {
			return 0, fmt.Errorf("dims %v: dimension %d is out of range", dims, i)
		}
		n *= d
	}
	return n, nil
}

func (v Value) checkDense(n int) error {
	if want := v.DType.Bytes(n); len(v.Values) != want || len(v.Index) != 0 {
		return v.wrong("want %d bytes and no index, got %d and %d", want, len(v.Values), len(v.Index))
	}
	if v.DType == Bit && spare(v.Values, n) {
		return v.wrong("bits after the last element are not zero")
	}
	return nil
}

// spare reports whether any bit of b from bit n on is one.
func spare(b []byte, n int) bool { return n%8 != 0 && b[n/8]>>(n%8) != 0 }

func (v Value) checkStored(stored int) error {
	if want := v.DType.Bytes(stored); len(v.Values) != want {
		return v.wrong("the index names %d elements, %d bytes, but there are %d", stored, want, len(v.Values))
	}
	return nil
}

func (v Value) checkBitmask(n int) error {
	if len(v.Index) != Bit.Bytes(n) {
		return v.wrong("want an index of %d bytes, got %d", Bit.Bytes(n), len(v.Index))
	}
	if spare(v.Index, n) {
		return v.wrong("bits after the last element are not zero")
	}
	return v.checkStored(onesCount(v.Index))
}

func onesCount(b []byte) int {
	n := 0
	for ; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b))
	}
	for _, c := range b {
		n += bits.OnesCount8(c)
	}
	return n
}

func (v Value) checkIndex16(n int) error {
	runs := (n + run - 1) / run
	if len(v.Index) < 4*runs {
		return v.wrong("want an index of %d counts, got %d bytes", runs, len(v.Index))
	}
	counts, offsets := v.Index[:4*runs], v.Index[4*runs:]
	stored := 0
	for r := range runs {
		count, size := int(binary.LittleEndian.Uint32(counts[4*r:])), min(run, n-r*run)
		if count > size || 2*count > len(offsets) {
			return v.wrong("run %d of %d elements holds %d, with %d bytes of offsets left", r, size, count, len(offsets))
		}
		for k, last := 0, -1; k < count; k++ {
			o := int(binary.LittleEndian.Uint16(offsets[2*k:]))
			if o <= last || o >= size {
				return v.wrong("run %d: offset %d after %d, want ascending below %d", r, o, last, size)
			}
			last = o
		}
		offsets = offsets[2*count:]
		stored += count
	}
	if len(offsets) != 0 {
		return v.wrong("%d bytes follow the last offset", len(offsets))
	}
	return v.checkStored(stored)
}

func (v Value) checkGroups(n int) error {
	if v.Axis < 0 || v.Axis >= len(v.Dims) || v.M < 1 || v.M > maxM || v.N < 1 || v.N > v.M || v.Dims[v.Axis]%v.M != 0 {
		return v.wrong("%d:%d along axis %d does not fit", v.N, v.M, v.Axis)
	}
	width := groupBits(v.M)
	stored := n / v.M * v.N
	if want := (stored*width + 7) / 8; len(v.Index) != want {
		return v.wrong("want an index of %d bytes, got %d", want, len(v.Index))
	}
	if spare(v.Index, stored*width) {
		return v.wrong("bits after the last offset are not zero")
	}
	for k, last := 0, -1; k < stored; k++ {
		if k%v.N == 0 {
			last = -1
		}
		o := packedBits(v.Index, k*width, width)
		if o <= last || o >= v.M {
			return v.wrong("group %d: offset %d after %d, want ascending below %d", k/v.N, o, last, v.M)
		}
		last = o
	}
	return v.checkStored(stored)
}

// groupBits returns ⌈log₂ m⌉.
func groupBits(m int) int { return bits.Len(uint(m - 1)) }

// packedBits returns width ≤ 8 bits of b from bit at on, least significant first.
func packedBits(b []byte, at, width int) int {
	if width == 0 {
		return 0
	}
	x := int(b[at/8])
	if at%8+width > 8 {
		x |= int(b[at/8+1]) << 8
	}
	return x >> (at % 8) & (1<<width - 1)
}
