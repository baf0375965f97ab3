package pack

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode"
	"unicode/utf8"
)

// A Reader reads tokens from bytes. After the first error all methods return zero values, also for
// lengths, so that a loop over a length ends. [Reader.Err] and [Reader.End] return the error. A
// Reader is for one goroutine.
type Reader struct {
	b   []byte
	off int
	err error
}

// NewReader returns a Reader of b. The caller must not change b while the Reader is in use.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first error, or nil.
func (r *Reader) Err() error { return r.err }

// Offset returns the number of bytes read.
func (r *Reader) Offset() int { return r.off }

// End returns the first error, or an error if bytes remain.
func (r *Reader) End() error {
	if r.err == nil && r.off != len(r.b) {
		r.Fail("%d bytes follow the end", len(r.b)-r.off)
	}
	return r.err
}

// Fail records an error at the current offset if there is none. Callers use it for a wrong value of
// a valid token.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Offset: r.off, Problem: fmt.Sprintf(format, args...)}
	}
}

// An Error is a problem at an offset in the bytes.
type Error struct {
	Offset  int
	Problem string
}

func (e *Error) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Problem) }

// take returns the next n bytes, or nil after a failure.
func (r *Reader) take(n int, what string) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b)-r.off {
		r.Fail("%s needs %d bytes, %d are left", what, n, len(r.b)-r.off)
		return nil
	}
	b := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return b
}

// lead returns the next byte, which contains the type of a value.
func (r *Reader) lead(what string) (byte, bool) {
	b := r.take(1, what)
	if b == nil {
		return 0, false
	}
	return b[0], true
}

// wrong records that the value with the lead byte c has another type.
func (r *Reader) wrong(want string, c byte) {
	r.off--
	r.Fail("want %s, got a value that begins with 0x%02x", want, c)
}

// uint reads a big-endian number of n bytes. A number below least has a shorter form, so it is an
// error.
func (r *Reader) uint(n int, least uint64, what string) uint64 {
	b := r.take(n, what)
	var x uint64
	for _, c := range b {
		x = x<<8 | uint64(c)
	}
	if b != nil && x < least {
		r.Fail("%s %d is not in its shortest form", what, x)
		return 0
	}
	return x
}

// length reads the length after lead byte c. Codes are the lead bytes of lengths in 8, 16 and 32
// bits, 0 for none. Short is the greatest length of the form without these codes, -1 for none. Ok
// is false if c is none of the codes.
func (r *Reader) length(c byte, codes [3]byte, short int, what string) (n int, ok bool) {
	least := uint64(short + 1)
	for i, code := range codes {
		if code == 0 {
			continue
		}
		if c == code {
			n := r.uint(1<<i, least, "length of "+what)
			if n > math.MaxInt {
				r.Fail("length of %s: want at most %d, got %d", what, math.MaxInt, n)
				return 0, true
			}
			return int(n), true
		}
		least = 1 << (8 << i)
	}
	return 0, false
}

// Array reads the head of an array and returns the number of values that follow.
func (r *Reader) Array() int { return r.container(0x90, [3]byte{0, 0xdc, 0xdd}, "an array", 1) }

// Map reads the head of a map and returns the number of pairs that follow.
func (r *Reader) Map() int { return r.container(0x80, [3]byte{0, 0xde, 0xdf}, "a map", 2) }

func (r *Reader) container(fix byte, codes [3]byte, what string, each int) int {
	c, ok := r.lead(what)
	if !ok {
		return 0
	}
	n := int(c & 0x0f)
	if c&0xf0 != fix {
		if n, ok = r.length(c, codes, 15, what); !ok {
			r.wrong(what, c)
			return 0
		}
	}
	if r.err == nil && n > (len(r.b)-r.off)/each { // a value has at least one byte
		r.Fail("%s of %d does not fit the %d bytes left", what, n, len(r.b)-r.off)
	}
	if r.err != nil {
		return 0
	}
	return n
}

// ArrayOf reads the head of an array of exactly n values.
func (r *Reader) ArrayOf(n int) {
	if got := r.Array(); r.err == nil && got != n {
		r.Fail("want an array of %d, got one of %d", n, got)
	}
}

// Fields reads the head of a map with exactly len(keys) pairs, and its first key. Read the other
// keys with [Reader.Key].
func (r *Reader) Fields(keys ...string) {
	if got := r.Map(); r.err == nil && got != len(keys) {
		r.Fail("want a map of the %d fields %q, got one of %d", len(keys), keys, got)
	}
	if len(keys) > 0 {
		r.Key(keys[0])
	}
}

// Key reads the string key. Any other string is an error.
func (r *Reader) Key(key string) {
	if got := r.String(len(key)); r.err == nil && got != key {
		r.Fail("want field %q, got %q", key, got)
	}
}

// String reads a string of valid UTF-8 and at most limit bytes.
func (r *Reader) String(limit int) string {
	c, ok := r.lead("a string")
	if !ok {
		return ""
	}
	n := int(c & 0x1f)
	if c&0xe0 != 0xa0 {
		if n, ok = r.length(c, [3]byte{0xd9, 0xda, 0xdb}, 31, "a string"); !ok {
			r.wrong("a string", c)
			return ""
		}
	}
	if r.err == nil && n > limit {
		r.Fail("a string of %d bytes, the limit here is %d", n, limit)
	}
	b := r.take(n, "a string")
	if !utf8.Valid(b) {
		r.Fail("a string is not valid UTF-8")
		return ""
	}
	return string(b)
}

// Name reads a string that [CheckName] accepts.
func (r *Reader) Name() string {
	s := r.String(MaxName)
	if r.err == nil {
		if err := CheckName(s); err != nil {
			r.Fail("%v", err)
			return ""
		}
	}
	return s
}

// MaxName is the maximum length of a name in bytes.
const MaxName = 255

// CheckName returns an error unless s is 1 to [MaxName] bytes of printable UTF-8. Names are printed
// and compared. They are not used as paths.
func CheckName(s string) error {
	if s == "" || len(s) > MaxName || !utf8.ValidString(s) {
		return fmt.Errorf("name %.64q: want 1 to %d bytes of UTF-8", s, MaxName)
	}
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return fmt.Errorf("name %.64q: character %U is not printable", s, c)
		}
	}
	return nil
}

// BinHeader reads the head of a binary and returns the number of bytes that follow. It does not
// check that they exist.
func (r *Reader) BinHeader() int {
	c, ok := r.lead("a binary")
	if !ok {
		return 0
	}
	n, ok := r.length(c, [3]byte{0xc4, 0xc5, 0xc6}, -1, "a binary")
	if !ok {
		r.wrong("a binary", c)
	}
	if r.err != nil {
		return 0
	}
	return n
}

// Bin reads a binary and returns its bytes. They share memory with the bytes of the Reader.
func (r *Reader) Bin() []byte { return r.take(r.BinHeader(), "a binary") }

// Int reads an integer from -2⁶³ to 2⁶³-1.
func (r *Reader) Int() int64 {
	c, ok := r.lead("an integer")
	if !ok {
		return 0
	}
	switch c {
	case 0xd0, 0xd1, 0xd2, 0xd3: // negative, of 1 to 8 bytes; from least up there is a shorter form
		least := [...]int64{-32, math.MinInt8, math.MinInt16, math.MinInt32}[c-0xd0]
		shift := 64 - 8<<(c-0xd0)
		x := int64(r.uint(1<<(c-0xd0), 0, "an integer")<<shift) >> shift
		if r.err == nil && x >= least {
			r.Fail("integer %d is not in its shortest form", x)
			return 0
		}
		return x
	}
	if c >= 0xe0 {
		return int64(int8(c))
	}
	r.off--
	x := r.Uint()
	if r.err == nil && x > math.MaxInt64 {
		r.Fail("want an integer of at most %d, got %d", int64(math.MaxInt64), x)
		return 0
	}
	return int64(x)
}

// Uint reads an integer from 0 to 2⁶⁴-1.
func (r *Reader) Uint() uint64 {
	c, ok := r.lead("an unsigned integer")
	if !ok || c < 0x80 {
		return uint64(c)
	}
	if c < 0xcc || c > 0xcf {
		r.wrong("an unsigned integer", c)
		return 0
	}
	least := [...]uint64{1 << 7, 1 << 8, 1 << 16, 1 << 32}[c-0xcc]
	return r.uint(1<<(c-0xcc), least, "integer")
}

// IntIn reads an integer from lo to hi. After an error it returns lo.
func (r *Reader) IntIn(lo, hi int64) int64 {
	x := r.Int()
	if r.err == nil && (x < lo || x > hi) {
		r.Fail("want an integer from %d to %d, got %d", lo, hi, x)
	}
	if r.err != nil {
		return lo
	}
	return x
}

// Float64 reads a 64-bit float.
func (r *Reader) Float64() float64 {
	if b := r.fixed(0xcb, 8, "a 64-bit float"); b != nil {
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}

// Float32 reads a 32-bit float.
func (r *Reader) Float32() float32 {
	if b := r.fixed(0xca, 4, "a 32-bit float"); b != nil {
		return math.Float32frombits(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *Reader) fixed(code byte, n int, what string) []byte {
	c, ok := r.lead(what)
	if ok && c != code {
		r.wrong(what, c)
	}
	return r.take(n, what)
}

// Bool reads true or false.
func (r *Reader) Bool() bool {
	c, ok := r.lead("a boolean")
	if ok && c != 0xc2 && c != 0xc3 {
		r.wrong("true or false", c)
	}
	return c == 0xc3
}

// IsArray reports whether the next value is an array. It reads nothing.
func (r *Reader) IsArray() bool {
	if r.err != nil || r.off >= len(r.b) {
		return false
	}
	c := r.b[r.off]
	return c&0xf0 == 0x90 || c == 0xdc || c == 0xdd
}

// IsNil reports whether the next value is nil, and reads it in that case.
func (r *Reader) IsNil() bool {
	if r.err != nil || r.off >= len(r.b) || r.b[r.off] != 0xc0 {
		return false
	}
	r.off++
	return true
}
