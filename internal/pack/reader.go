package pack

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode"
	"unicode/utf8"
)

// A Reader takes tokens from bytes. The first error sticks: later calls return zero values, lengths included, so a loop
// over a length ends, and [Reader.End] or [Reader.Err] returns the error. A Reader is for one goroutine.
type Reader struct {
	b   []byte
	off int
	err error
}

// NewReader returns a reader of b, which must not change while it is read.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first error, or nil.
func (r *Reader) Err() error { return r.err }

// Offset returns how many bytes have been taken.
func (r *Reader) Offset() int { return r.off }

// End returns the first error, or one when bytes are left over.
func (r *Reader) End() error {
	if r.err == nil && r.off != len(r.b) {
		r.Fail("%d bytes follow the end", len(r.b)-r.off)
	}
	return r.err
}

// Fail records an error at the current offset unless there is one already. Callers use it for what a value means.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Offset: r.off, Problem: fmt.Sprintf(format, args...)}
	}
}

// An Error says at which byte something is wrong, and what.
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

// lead returns the next byte, which says what a value is.
func (r *Reader) lead(what string) (byte, bool) {
	b := r.take(1, what)
	if b == nil {
		return 0, false
	}
	return b[0], true
}

// wrong reports that another kind of value came.
func (r *Reader) wrong(want string, c byte) {
	r.off--
	r.Fail("want %s, got a value that begins with 0x%02x", want, c)
}

// uint takes a big-endian number of n bytes that must be at least least, or a shorter form would do.
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

// length takes the length that follows lead byte c, one of codes for 8, 16 and 32 bits (0: no such form). short is the
// longest length that a form without these codes can hold, -1 for none.
func (r *Reader) length(c byte, codes [3]byte, short int, what string) (int, bool) {
	least := uint64(short + 1)
	for i, code := range codes {
		if code == 0 {
			continue
		}
		if c == code {
			n := r.uint(1<<i, least, "length of "+what)
			if n > math.MaxInt {
				r.Fail("length of %s %d does not fit this machine", what, n)
				return 0, true
			}
			return int(n), true
		}
		least = 1 << (8 << i)
	}
	return 0, false
}

// Array takes the beginning of an array and returns how many values follow.
func (r *Reader) Array() int { return r.container(0x90, [3]byte{0, 0xdc, 0xdd}, "an array", 1) }

// Map takes the beginning of a map and returns how many pairs follow.
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
	if r.err == nil && n > (len(r.b)-r.off)/each { // a value takes a byte at least
		r.Fail("%s of %d does not fit the %d bytes left", what, n, len(r.b)-r.off)
	}
	if r.err != nil {
		return 0
	}
	return n
}

// ArrayOf takes the beginning of an array of exactly n values.
func (r *Reader) ArrayOf(n int) {
	if got := r.Array(); r.err == nil && got != n {
		r.Fail("want an array of %d, got one of %d", n, got)
	}
}

// Fields takes the beginning of a map with exactly len(keys) pairs and its first key; take the others with [Reader.Key].
func (r *Reader) Fields(keys ...string) {
	if got := r.Map(); r.err == nil && got != len(keys) {
		r.Fail("want a map of the %d fields %q, got one of %d", len(keys), keys, got)
	}
	if len(keys) > 0 {
		r.Key(keys[0])
	}
}

// Key takes the string key.
func (r *Reader) Key(key string) {
	if got := r.String(len(key)); r.err == nil && got != key {
		r.Fail("want field %q, got %q", key, got)
	}
}

// String takes a string of valid UTF-8 and at most limit bytes.
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

// Name takes a string that [CheckName] accepts.
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

// MaxName is the longest name in bytes.
const MaxName = 255

// CheckName returns an error unless s is 1 to 255 bytes of printable UTF-8. Names are shown to people and compared, never used
// as paths.
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

// BinHeader takes the beginning of a binary and returns how many bytes follow, without looking whether they are there.
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

// Bin takes a binary and returns its bytes, which share memory with the reader's.
func (r *Reader) Bin() []byte { return r.take(r.BinHeader(), "a binary") }

// Int takes an integer that fits int64.
func (r *Reader) Int() int64 {
	c, ok := r.lead("an integer")
	if !ok {
		return 0
	}
	switch c {
	case 0xd0, 0xd1, 0xd2, 0xd3: // negative, of 1 to 8 bytes; the shorter form reaches down to most
		most := [...]int64{-32, math.MinInt8, math.MinInt16, math.MinInt32}[c-0xd0]
		shift := 64 - 8<<(c-0xd0)
		x := int64(r.uint(1<<(c-0xd0), 0, "an integer")<<shift) >> shift
		if r.err == nil && x >= most {
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
		r.Fail("integer %d does not fit 64 bits with a sign", x)
		return 0
	}
	return int64(x)
}

// Uint takes an integer from 0 to 2⁶⁴-1.
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

// IntIn takes an integer from lo to hi.
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

// Float64 takes a 64-bit float.
func (r *Reader) Float64() float64 {
	if b := r.fixed(0xcb, 8, "a 64-bit float"); b != nil {
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}

// Float32 takes a 32-bit float.
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

// Bool takes true or false.
func (r *Reader) Bool() bool {
	c, ok := r.lead("a boolean")
	if ok && c != 0xc2 && c != 0xc3 {
		r.wrong("true or false", c)
	}
	return c == 0xc3
}

// IsArray reports whether an array comes next. It takes nothing.
func (r *Reader) IsArray() bool {
	if r.err != nil || r.off >= len(r.b) {
		return false
	}
	c := r.b[r.off]
	return c&0xf0 == 0x90 || c == 0xdc || c == 0xdd
}

// IsNil reports whether nil comes next, and takes it if so.
func (r *Reader) IsNil() bool {
	if r.err != nil || r.off >= len(r.b) || r.b[r.off] != 0xc0 {
		return false
	}
	r.off++
	return true
}
