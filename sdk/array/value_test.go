package array_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// sparse returns a tensor whose elements are zero with the given probability and random bytes
// otherwise.
func sparse(t testing.TB, d array.DType, zeros float64, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.New(d, dims...)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, uint64(zeros*1e6)))
	size := d.Bytes(1)
	for i := range x.Len() {
		if rng.Float64() >= zeros {
			for j := range size {
				x.Data[i*size+j] = byte(rng.Uint32()) | 1
			}
		}
	}
	return x
}

var elements = []array.DType{array.F32, array.F64, array.F16, array.BF16, array.I8, array.I32, array.I64}

func TestValueRoundTrip(t *testing.T) {
	shapes := [][]int{{}, {1}, {7}, {8}, {9}, {3, 5, 2}, {65536}, {65537}, {3, 43691}}
	for _, d := range elements {
		for _, dims := range shapes {
			for _, zeros := range []float64{0, 0.5, 0.9, 0.99, 1} {
				x := sparse(t, d, zeros, dims...)
				for _, e := range []array.Encoding{array.Dense, array.Bitmask, array.Index16} {
					v, err := x.Encode(e)
					if err != nil {
						t.Fatalf("%v%v %v: %v", d, dims, e, err)
					}
					if v.Encoding != e || e != array.Dense && v.Stored() != nonzero(x) {
						t.Errorf("%v%v: encoded as %v with %d elements, want %v with %d", d, dims, v.Encoding, v.Stored(), e, nonzero(x))
					}
					same(t, v, x)
				}
			}
		}
	}
}

func nonzero(x array.Tensor) int {
	n, size := 0, x.DType.Bytes(1)
	for i := range x.Len() {
		if !bytes.Equal(x.Data[i*size:(i+1)*size], make([]byte, size)) {
			n++
		}
	}
	return n
}

// same checks that v decodes to x and that its mask covers all of x that is not zero.
func same(t *testing.T, v array.Value, x array.Tensor) {
	t.Helper()
	got, err := v.Decode()
	if err != nil {
		t.Fatal(err)
	}
	if got.DType != x.DType || fmt.Sprint(got.Dims) != fmt.Sprint(x.Dims) || !bytes.Equal(got.Data, x.Data) {
		t.Errorf("%v %v%v decodes to something else", v.Encoding, v.DType, v.Dims)
	}
	mask, err := v.Mask()
	if err != nil {
		t.Fatal(err)
	}
	stored, size := 0, x.DType.Bytes(1)
	for i := range x.Len() {
		if mask.Bit(i) {
			stored++
		} else if !bytes.Equal(x.Data[i*size:(i+1)*size], make([]byte, size)) {
			t.Fatalf("%v: element %d is not zero and not in the mask", v.Encoding, i)
		}
	}
	if stored != v.Stored() {
		t.Errorf("%v: the mask has %d, Stored says %d", v.Encoding, stored, v.Stored())
	}
}

func TestNegativeZeroIsStored(t *testing.T) {
	x, err := array.From([]float32{0, float32(math.Copysign(0, -1)), 3, 0})
	if err != nil {
		t.Fatal(err)
	}
	v, err := x.Encode(array.Bitmask)
	if err != nil || v.Stored() != 2 {
		t.Fatalf("stored %d, %v; want -0 and 3", v.Stored(), err)
	}
	same(t, v, x)
}

func TestGroupNM(t *testing.T) {
	for _, c := range []struct {
		n, m, axis int
		dims       []int
	}{
		{2, 4, 1, []int{3, 8, 3, 3}}, {1, 4, 0, []int{8, 5}}, {4, 8, 1, []int{2, 16}}, {1, 1, 0, []int{5}},
		{3, 5, 2, []int{2, 3, 10}}, {2, 256, 0, []int{512}}, {4, 4, 1, []int{2, 4}}, {1, 3, 1, []int{4, 9, 2}},
	} {
		for _, d := range elements {
			x := sparse(t, d, 0.3, c.dims...)
			prune(x, c.n, c.m, c.axis)
			v, err := x.EncodeNM(c.n, c.m, c.axis)
			if err != nil {
				t.Fatal(err)
			}
			if want := x.Len() / c.m * c.n; v.Stored() != want {
				t.Errorf("%d:%d stores %d of %v, want %d", c.n, c.m, v.Stored(), c.dims, want)
			}
			same(t, v, x)
		}
	}
	full := sparse(t, array.F32, 0, 4, 8)
	if _, err := full.EncodeNM(2, 4, 1); err == nil || !strings.Contains(err.Error(), "has 4 that are not zero") {
		t.Errorf("a full tensor as 2:4: %v", err)
	}
	for _, bad := range [][3]int{{0, 4, 1}, {5, 4, 1}, {2, 3, 1}, {2, 4, 2}, {2, 4, -1}, {1, 512, 1}, {1, 0, 1}} {
		if _, err := full.EncodeNM(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%d:%d along axis %d is accepted", bad[0], bad[1], bad[2])
		}
	}
}

// prune zeroes all but the first n elements of every group, written with plain index arithmetic.
func prune(x array.Tensor, n, m, axis int) {
	inner, size := array.Count(x.Dims[axis+1:]), x.DType.Bytes(1)
	for i := range x.Len() {
		if i/inner%x.Dims[axis]%m >= n {
			clear(x.Data[i*size : (i+1)*size])
		}
	}
}

// TestSmallest holds the choice at the break-even points: 1/32 of zeros, and 15/16.
func TestSmallest(t *testing.T) {
	const n = 1 << 16
	for _, c := range []struct {
		zeros int
		want  array.Encoding
	}{{0, array.Dense}, {n / 32, array.Dense}, {n/32 + 1, array.Bitmask}, {n * 15 / 16, array.Bitmask}, {n*15/16 + 3, array.Index16}, {n, array.Index16}} {
		data := make([]float32, n)
		for i := range n - c.zeros {
			data[i] = 1
		}
		x, _ := array.From(data)
		v, err := x.Smallest()
		if err != nil || v.Encoding != c.want {
			t.Errorf("%d zeros of %d: %v, %v; want %v", c.zeros, n, v.Encoding, err, c.want)
		}
		for _, e := range []array.Encoding{array.Dense, array.Bitmask, array.Index16} {
			if o, _ := x.Encode(e); o.Bytes() < v.Bytes() {
				t.Errorf("%d zeros: %v takes %d bytes, %v only %d", c.zeros, v.Encoding, v.Bytes(), e, o.Bytes())
			}
		}
	}
	mask, _ := array.New(array.Bit, 9)
	if v, err := mask.Smallest(); err != nil || v.Encoding != array.Dense {
		t.Errorf("bits: %v, %v", v.Encoding, err)
	}
}

// TestCheckRefuses breaks valid values one way at a time.
func TestCheckRefuses(t *testing.T) {
	le32, le16 := binary.LittleEndian.AppendUint32, binary.LittleEndian.AppendUint16
	value := func(e array.Encoding, index []byte, stored int, dims ...int) array.Value {
		return array.Value{Encoding: e, DType: array.F32, Dims: dims, Index: index, Values: make([]byte, 4*stored)}
	}
	nm := func(n, m, axis int, index []byte, stored int, dims ...int) array.Value {
		v := value(array.GroupNM, index, stored, dims...)
		v.N, v.M, v.Axis = n, m, axis
		return v
	}
	good := []array.Value{
		value(array.Dense, nil, 3, 3),
		value(array.Bitmask, []byte{0b101}, 2, 3),
		value(array.Index16, le16(le16(le32(nil, 2), 0), 2), 2, 3),
		nm(2, 4, 0, []byte{0b1100}, 2, 4),
	}
	for _, v := range good {
		if err := v.Check(); err != nil {
			t.Errorf("valid: %v", err)
		}
	}
	stray := good[0]
	stray.N = 1
	bad := map[string]array.Value{
		"unknown encoding":            value(9, nil, 3, 3),
		"dtype":                       {Dims: []int{1}, Values: make([]byte, 4)},
		"dense too short":             value(array.Dense, nil, 2, 3),
		"dense with an index":         value(array.Dense, []byte{0}, 3, 3),
		"dense with N":                stray,
		"zero extent":                 value(array.Dense, nil, 0, 0),
		"negative extent":             value(array.Dense, nil, 1, -1, -1),
		"product overflow":            value(array.Dense, nil, 0, 1<<16, 1<<16, 1<<16, 1<<16),
		"bits past the end":           {DType: array.Bit, Dims: []int{3}, Values: []byte{0b1000}},
		"bitmask of bits":             {Encoding: array.Bitmask, DType: array.Bit, Dims: []int{3}, Index: []byte{1}, Values: []byte{1}},
		"mask too long":               value(array.Bitmask, []byte{1, 0}, 1, 3),
		"mask past the end":           value(array.Bitmask, []byte{0b1001}, 2, 3),
		"mask count":                  value(array.Bitmask, []byte{0b111}, 2, 3),
		"index16 without counts":      value(array.Index16, []byte{0}, 0, 3),
		"index16 count too large":     value(array.Index16, le16(le32(nil, 4), 0), 4, 3),
		"index16 count past its end":  value(array.Index16, le16(le32(nil, 2), 0), 2, 3),
		"index16 huge count":          value(array.Index16, le16(le32(nil, math.MaxUint32), 0), 1, 1<<30),
		"index16 out of range":        value(array.Index16, le16(le32(nil, 1), 3), 1, 3),
		"index16 repeated":            value(array.Index16, le16(le16(le32(nil, 2), 1), 1), 2, 3),
		"index16 descending":          value(array.Index16, le16(le16(le32(nil, 2), 2), 1), 2, 3),
		"index16 left over":           value(array.Index16, le16(le16(le32(nil, 1), 1), 2), 2, 3),
		"index16 values":              value(array.Index16, le16(le32(nil, 1), 1), 2, 3),
		"groups that do not divide":   nm(2, 4, 0, []byte{0b1100}, 2, 5),
		"axis out of range":           nm(2, 4, 1, []byte{0b1100}, 2, 4),
		"N above M":                   nm(5, 4, 0, []byte{0, 0}, 5, 4),
		"M of zero":                   nm(0, 0, 0, nil, 0, 4),
		"group offsets repeated":      nm(2, 4, 0, []byte{0b0101}, 2, 4),
		"group offset out of range":   nm(1, 3, 0, []byte{0b11}, 1, 3),
		"group index too short":       nm(2, 4, 0, nil, 2, 4),
		"group bits past the end":     nm(2, 4, 0, []byte{0b11100}, 2, 4),
		"group values":                nm(2, 4, 0, []byte{0b1100}, 3, 4),
		"group of a gigantic M and N": nm(math.MaxInt, math.MaxInt, 0, nil, 0, 4),
	}
	for name, v := range bad {
		if err := v.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := v.Decode(); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}
