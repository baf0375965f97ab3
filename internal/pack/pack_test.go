package pack

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// TestInts compares the boundaries of every form of integers with an independent decoder.
func TestInts(t *testing.T) {
	for _, x := range []int64{0, 1, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxInt64,
		-1, -32, -33, -128, -129, -32768, -32769, -1 << 31, -1<<31 - 1, math.MinInt64} {
		w := NewWriter()
		w.Int(x)
		r := NewReader(w.Bytes())
		if got := r.Int(); got != x || r.End() != nil {
			t.Errorf("%d: got %d, %v from %x", x, got, r.End(), w.Bytes())
		}
		var other int64
		if err := msgpack.Unmarshal(w.Bytes(), &other); err != nil || other != x {
			t.Errorf("%d: the other decoder got %d, %v", x, other, err)
		}
	}
	w := NewWriter()
	w.Uint(math.MaxUint64)
	if r := NewReader(w.Bytes()); r.Uint() != math.MaxUint64 || r.End() != nil {
		t.Errorf("2⁶⁴-1: %v", r.End())
	}
	if r := NewReader(w.Bytes()); r.Int() != 0 || r.End() == nil {
		t.Error("2⁶⁴-1 was read as an int64")
	}
}

// TestLengths writes and reads the boundaries of every form of lengths.
func TestLengths(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536, 70000} {
		w := NewWriter()
		w.String(strings.Repeat("x", n))
		w.Bin(make([]byte, n))
		w.Array(n)
		for range n {
			w.Bool(true)
		}
		w.Map(n)
		for range n {
			w.Nil()
			w.Nil()
		}
		r := NewReader(w.Bytes())
		if s := r.String(n); len(s) != n {
			t.Errorf("string of %d: %d", n, len(s))
		}
		if b := r.Bin(); len(b) != n {
			t.Errorf("binary of %d: %d", n, len(b))
		}
		if got := r.Array(); got != n {
			t.Errorf("array of %d: %d", n, got)
		}
		for range n {
			if !r.Bool() {
				t.Fatalf("array of %d: false", n)
			}
		}
		if got := r.Map(); got != n {
			t.Errorf("map of %d: %d", n, got)
		}
		for range 2 * n {
			if !r.IsNil() {
				t.Fatalf("map of %d: not nil", n)
			}
		}
		if err := r.End(); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestFloats(t *testing.T) {
	w := NewWriter()
	xs := []float64{0, math.Copysign(0, -1), 1, math.Pi, math.Inf(1), math.NaN(), math.SmallestNonzeroFloat64}
	for _, x := range xs {
		w.Float64(x)
		w.Float32(float32(x))
	}
	r := NewReader(w.Bytes())
	for _, x := range xs {
		if got := r.Float64(); math.Float64bits(got) != math.Float64bits(x) {
			t.Errorf("%v: got %v", x, got)
		}
		if got := r.Float32(); math.Float32bits(got) != math.Float32bits(float32(x)) {
			t.Errorf("%v: got %v", float32(x), got)
		}
	}
	if err := r.End(); err != nil {
		t.Error(err)
	}
}

// TestRefused requires errors with offsets for forms that are not the shortest, for lengths beyond
// the end, and for other types.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		bytes string
		read  func(r *Reader)
		want  string
	}{
		{"", func(r *Reader) { r.Int() }, "at byte 0: an integer needs 1 bytes, 0 are left"},
		{"cc7f", func(r *Reader) { r.Int() }, "shortest"},
		{"cd00ff", func(r *Reader) { r.Int() }, "shortest"},
		{"ce0000ffff", func(r *Reader) { r.Int() }, "shortest"},
		{"cf00000000ffffffff", func(r *Reader) { r.Uint() }, "shortest"},
		{"cf8000000000000000", func(r *Reader) { r.Int() }, "want an integer of at most 9223372036854775807, got 9223372036854775808"},
		{"d07f", func(r *Reader) { r.Int() }, "shortest"}, // positive in a signed form
		{"d0e0", func(r *Reader) { r.Int() }, "shortest"},
		{"d1ff80", func(r *Reader) { r.Int() }, "shortest"},
		{"d2ffff8000", func(r *Reader) { r.Int() }, "shortest"},
		{"d3ffffffff80000000", func(r *Reader) { r.Int() }, "shortest"},
		{"ff", func(r *Reader) { r.Uint() }, "want an unsigned integer"},
		{"cd01", func(r *Reader) { r.Int() }, "needs 2 bytes, 1 are left"},
		{"05", func(r *Reader) { r.IntIn(6, 9) }, "from 6 to 9, got 5"},
		{"a2c328", func(r *Reader) { r.String(9) }, "UTF-8"},
		{"d901" + "61", func(r *Reader) { r.String(9) }, "shortest"},
		{"da0001" + "61", func(r *Reader) { r.String(9) }, "shortest"},
		{"a3616263", func(r *Reader) { r.String(2) }, "limit here is 2"},
		{"dbffffffff", func(r *Reader) { r.String(math.MaxInt) }, "needs 4294967295 bytes, 0 are left"},
		{"a0", func(r *Reader) { r.Name() }, "want 1 to 255"},
		{"a10a", func(r *Reader) { r.Name() }, "not printable"},
		{"c50001aa", func(r *Reader) { r.Bin() }, "shortest"},
		{"c6ffffffff", func(r *Reader) { r.Bin() }, "needs 4294967295"},
		{"dcffff", func(r *Reader) { r.Array() }, "does not fit the 0 bytes left"},
		{"ddffffffff", func(r *Reader) { r.Array() }, "does not fit"},
		{"dc0001c0", func(r *Reader) { r.Array() }, "shortest"},
		{"dfffffffff", func(r *Reader) { r.Map() }, "does not fit"},
		{"81c0", func(r *Reader) { r.Map() }, "does not fit the 1 bytes"},
		{"de0001c0c0", func(r *Reader) { r.Map() }, "shortest"},
		{"92c0c0", func(r *Reader) { r.ArrayOf(3) }, "want an array of 3"},
		{"81a161c0", func(r *Reader) { r.Fields("b") }, `want field "b", got "a"`},
		{"82a161c0a162c0", func(r *Reader) { r.Fields("a") }, "fields"},
		{"ca00000000", func(r *Reader) { r.Float64() }, "want a 64-bit float"},
		{"cb0000", func(r *Reader) { r.Float64() }, "needs 8 bytes"},
		{"c0", func(r *Reader) { r.Bool() }, "want true or false"},
		{"d4017f", func(r *Reader) { r.Int() }, "begins with 0xd4"}, // an extension
		{"c1", func(r *Reader) { r.Array() }, "begins with 0xc1"},
		{"c3c3", func(r *Reader) { r.Bool() }, "at byte 1: 1 bytes follow"},
	} {
		b, err := hex.DecodeString(c.bytes)
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(b)
		c.read(r)
		if err := r.End(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.bytes, err, c.want)
		}
	}
}

// FuzzReader reads bytes as a sequence of tokens, writes the tokens, and requires the same bytes.
func FuzzReader(f *testing.F) {
	copied := func(kinds, b []byte) (again []byte, err error) {
		r, w := NewReader(b), NewWriter()
		for _, k := range kinds {
			if r.Err() != nil {
				break
			}
			switch k % 10 {
			case 0:
				w.Int(r.Int())
			case 1:
				w.Uint(r.Uint())
			case 2:
				w.String(r.String(1 << 20))
			case 3:
				w.Bin(r.Bin())
			case 4:
				w.Array(r.Array())
			case 5:
				w.Map(r.Map())
			case 6:
				w.Float64(r.Float64())
			case 7:
				w.Float32(r.Float32())
			case 8:
				w.Bool(r.Bool())
			case 9:
				w.String(r.Name())
			}
		}
		return w.Bytes(), r.End()
	}
	w := NewWriter()
	w.Map(1)
	w.String("x")
	w.Array(4)
	w.Int(-200)
	w.Uint(1 << 40)
	w.Float64(math.Pi)
	w.Float32(math.Pi)
	w.Bin(make([]byte, 300))
	w.Bool(true)
	w.String(strings.Repeat("y", 40))
	kinds := []byte{5, 9, 4, 0, 1, 6, 7, 3, 8, 2}
	if _, err := copied(kinds, w.Bytes()); err != nil {
		f.Fatal(err)
	}
	f.Add(kinds, w.Bytes())
	f.Fuzz(func(t *testing.T, kinds, b []byte) {
		if again, err := copied(kinds, b); err == nil && !bytes.Equal(again, b) {
			t.Fatalf("read %x, wrote %x", b, again)
		}
	})
}
