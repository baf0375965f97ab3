package checkpoint

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// TestStacks reads levels that nest, in both sparse encodings, with a dense level on top and one
// that is a mask over it. The tensor has three runs: the last ends within a word, and the
// sparsest level stores nothing in the middle one.
func TestStacks(t *testing.T) {
	const n = 2*runLength + 1003
	for _, d := range []array.DType{array.I8, array.F16, array.F32, array.F64} {
		x, err := array.New(d, n)
		if err != nil {
			t.Fatal(err)
		}
		seed := uint32(1)
		for i := range x.Data {
			seed = seed*1664525 + 1013904223
			x.Data[i] = byte(seed>>24) | 1
		}
		keep := func(e array.Encoding, some func(i int) bool) array.Value {
			y, size := x.Clone(), d.Bytes(1)
			for i := range n {
				if !some(i) {
					clear(y.Data[i*size : (i+1)*size])
				}
			}
			v, err := y.Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		few := func(i int) bool { return i%97 == 3 && i/runLength != 1 || i == n-1 }
		for _, forms := range [][2]array.Encoding{{array.Bitmask, array.Bitmask}, {array.Bitmask, array.Index16}, {array.Index16, array.Bitmask}, {array.Index16, array.Index16}} {
			level := func(name string, v array.Value) Level {
				return Level{Name: name, Tensors: map[string]array.Value{"w": v}}
			}
			f := &File{Levels: []Level{
				level("dense", array.DenseValue(x)),
				level("some", keep(forms[1], func(i int) bool { return few(i) || i%5 == 0 })),
				level("few", keep(forms[0], few)),
				level("others", keep(forms[0], func(i int) bool { return i%3 == 0 })),
			}}
			b := write(t, f)
			r := read(t, b)
			if got := fmt.Sprint(len(r.head.parts), r.head.levels[0].entries[0].parts, r.head.levels[3].entries[0].parts); got != "4 [0 1 2] [0 1 2 3]" {
				t.Fatalf("%v %v: the parts are %s, so that the test tests nothing", d, forms, got)
			}
			for _, want := range f.Levels {
				got, err := r.Level(want.Name)
				if err != nil || !sameLevel(*got, want) {
					t.Errorf("%v %v: level %s changed: %v", d, forms, want.Name, err)
				}
			}
		}
	}
}

// TestStacksThatOverlap stores an element twice, in each pair of encodings and in the second
// run.
func TestStacksThatOverlap(t *testing.T) {
	const n, twice = 2*runLength + 7, runLength + 70
	mask := make([]byte, array.Bit.Bytes(n))
	mask[twice/8] = 1 << (twice % 8)
	index, one := few(array.I8, n, twice)
	for _, forms := range [][2]kind{{bitmask, bitmask}, {bitmask, index16}, {index16, bitmask}, {index16, index16}} {
		d := &draft{}
		d.tensors = []tensor{{"w", array.I8, []int{n}}}
		for _, k := range forms {
			d.part(0, encoding{kind: k}, map[kind][]byte{bitmask: mask, index16: index}[k], one)
		}
		d.levels = []level{{name: "a", entries: []entry{{0, encoding{kind: index16}, 2, []int{0, 1}}}}}
		b := d.bytes(t)
		r, err := NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Level("")
		if want := fmt.Sprintf("damaged at byte %d: tensor \"w\" i8[%d]: two parts store element %d", r.at(r.head.parts[1].values), n, twice); err == nil || err.Error() != "checkpoint: "+want {
			t.Errorf("%v: error %v, want %s", forms, err, want)
		}
	}
}
