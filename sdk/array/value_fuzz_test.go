package array_test

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"runtime/metrics"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// There is a fuzz target for each sparse encoding. It compares [array.Value.Check] and the decoded
// value with a plain reading of the format: the positions of the stored elements, in the order of
// Values.

func FuzzBitmask(f *testing.F) {
	for _, v := range seeds(f, array.Bitmask) {
		f.Add(uint8(v.DType), uint8(len(v.Dims)), dim(v, 0), dim(v, 1), dim(v, 2), v.Index, v.Values)
	}
	f.Fuzz(func(t *testing.T, d, rank uint8, d0, d1, d2 int, index, values []byte) {
		v := array.Value{Encoding: array.Bitmask, DType: array.DType(d), Dims: []int{d0, d1, d2}[:rank%4], Index: index, Values: values}
		examine(t, v, maskPositions)
	})
}

func FuzzIndex16(f *testing.F) {
	for _, v := range seeds(f, array.Index16) {
		f.Add(uint8(v.DType), uint8(len(v.Dims)), dim(v, 0), dim(v, 1), dim(v, 2), v.Index, v.Values)
	}
	f.Fuzz(func(t *testing.T, d, rank uint8, d0, d1, d2 int, index, values []byte) {
		v := array.Value{Encoding: array.Index16, DType: array.DType(d), Dims: []int{d0, d1, d2}[:rank%4], Index: index, Values: values}
		examine(t, v, runPositions)
	})
}

func FuzzNM(f *testing.F) {
	for _, v := range seeds(f, array.GroupNM) {
		f.Add(uint8(v.DType), uint8(len(v.Dims)), dim(v, 0), dim(v, 1), dim(v, 2), v.N, v.M, v.Axis, v.Index, v.Values)
	}
	f.Fuzz(func(t *testing.T, d, rank uint8, d0, d1, d2, n, m, axis int, index, values []byte) {
		v := array.Value{Encoding: array.GroupNM, DType: array.DType(d), Dims: []int{d0, d1, d2}[:rank%4], N: n, M: m, Axis: axis, Index: index, Values: values}
		examine(t, v, groupPositions)
	})
}

func dim(v array.Value, i int) int {
	if i < len(v.Dims) {
		return v.Dims[i]
	}
	return 0
}

// seeds returns valid values of every type, of ranks 0 to 3, full and empty and between, that store
// zeros and that do not. Each must be accepted: a seed that is refused leads nowhere.
func seeds(f *testing.F, e array.Encoding) []array.Value {
	f.Helper()
	var all []array.Value
	add := func(x array.Tensor, n, m, axis int) {
		v, err := x.Encode(e)
		if e == array.GroupNM {
			prune(x, n, m, axis)
			v, err = x.EncodeNM(n, m, axis)
		}
		if err == nil {
			err = v.Check()
		}
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, v)
		if v.Stored() > 0 {
			zero := v
			zero.Values = bytes.Clone(v.Values)
			clear(zero.Values[:v.DType.Bytes(1)])
			if err := zero.Check(); err != nil {
				f.Fatal(err)
			}
			all = append(all, zero)
		}
	}
	for _, d := range elements {
		add(sparse(f, d, .5, 2, 4, 2), 2, 4, 1)
	}
	for _, zeros := range []float64{0, .9, 1} {
		add(sparse(f, array.F32, zeros, 1), 1, 1, 0)
		add(sparse(f, array.F32, zeros, 3, 10), 3, 5, 1)
		add(sparse(f, array.F16, zeros, 16, 3), 7, 8, 0)
	}
	if e == array.GroupNM {
		add(sparse(f, array.I8, 0, 512), 2, 256, 0)
		add(sparse(f, array.I8, 0, 4), 4, 4, 0)
		return all
	}
	add(sparse(f, array.F32, .5), 0, 0, 0)
	if e == array.Index16 { // three runs, the last of one element, which is stored
		long := sparse(f, array.I8, 1, 1<<17+1)
		for _, i := range []int{0, 1<<16 - 1, 1 << 16, 1 << 17} {
			long.Data[i] = 1
		}
		add(long, 0, 0, 0)
	}
	return all
}

// examine holds Check and Decode of v against positions, and the cost of both against what they may
// take.
func examine(t *testing.T, v array.Value, positions func(v array.Value, n int) ([]int, bool)) {
	var want []int
	n, legal := count(v.Dims)
	if legal = legal && v.DType.Valid() && v.DType != array.Bit; legal {
		want, legal = positions(v, n)
		legal = legal && len(v.Values) == len(want)*v.DType.Bytes(1)
	}
	var err error
	takes(t, 0, func() { err = v.Check() })
	if (err == nil) != legal {
		t.Fatalf("%v: legal %v, Check says %v", v, legal, err)
	}
	if err != nil || n > 1<<22 { // Decode makes what the extents say, and that much is slow
		if _, err := v.Decode(); err == nil && !legal {
			t.Fatal("Decode takes what Check refuses")
		}
		return
	}
	size := v.DType.Bytes(1)
	var x array.Tensor
	takes(t, n*size, func() { x, err = v.Decode() })
	if err != nil {
		t.Fatal(err)
	}
	dense, zeros := make([]byte, n*size), false
	for k, i := range want {
		copy(dense[i*size:], v.Values[k*size:(k+1)*size])
		zeros = zeros || !slices.ContainsFunc(v.Values[k*size:(k+1)*size], func(b byte) bool { return b != 0 })
	}
	if !bytes.Equal(x.Data, dense) {
		t.Fatalf("%v decodes to %x, want %x", v, x.Data, dense)
	}
	mask, err := v.Mask()
	if err != nil {
		t.Fatal(err)
	}
	bits := make([]byte, (n+7)/8)
	for _, i := range want {
		bits[i/8] |= 1 << (i % 8)
	}
	if !bytes.Equal(mask.Data, bits) {
		t.Fatalf("%v has the mask %x, want %x", v, mask.Data, bits)
	}
	back, err := x.Encode(v.Encoding)
	if v.Encoding == array.GroupNM {
		back, err = x.EncodeNM(v.N, v.M, v.Axis)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !zeros && (!bytes.Equal(back.Index, v.Index) || !bytes.Equal(back.Values, v.Values)) {
		t.Fatalf("%v encodes back to %v", v, back)
	}
	if y, err := back.Decode(); err != nil || !bytes.Equal(y.Data, dense) {
		t.Fatalf("%v, encoded back, decodes to %x, %v", v, y.Data, err)
	}
}

// takes holds that f allocates little more than most bytes. Others allocate meanwhile, but not at
// each of three calls.
func takes(t *testing.T, most int, f func()) {
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	used := uint64(0)
	for range 3 {
		metrics.Read(allocated)
		before := allocated[0].Value.Uint64()
		f()
		metrics.Read(allocated)
		if used = allocated[0].Value.Uint64() - before; used <= uint64(most)+1<<20 {
			return
		}
	}
	t.Fatalf("%d bytes allocated, want little more than %d", used, most)
}

// count returns the product of dims, and whether all are at least 1 and it is at most 2⁴⁶.
func count(dims []int) (int, bool) {
	n := big.NewInt(1)
	for _, d := range dims {
		if d < 1 {
			return 0, false
		}
		n.Mul(n, big.NewInt(int64(d)))
	}
	return int(n.Int64()), n.Cmp(big.NewInt(1<<46)) <= 0
}

// bit returns bit i of b, and zero behind its end.
func bit(b []byte, i int) int {
	if i/8 >= len(b) {
		return 0
	}
	return int(b[i/8]) >> (i % 8) & 1
}

func maskPositions(v array.Value, n int) (positions []int, ok bool) {
	for i := range 8 * len(v.Index) {
		if bit(v.Index, i) == 1 {
			positions = append(positions, i)
			ok = i < n
		}
	}
	return positions, len(v.Index) == (n+7)/8 && (ok || len(positions) == 0)
}

func runPositions(v array.Value, n int) (positions []int, ok bool) {
	runs := (n + 65535) / 65536
	if len(v.Index) < 4*runs {
		return nil, false
	}
	offsets := v.Index[4*runs:]
	for r := range runs {
		last := -1
		for range binary.LittleEndian.Uint32(v.Index[4*r:]) {
			if len(offsets) < 2 {
				return nil, false
			}
			i := r*65536 + int(binary.LittleEndian.Uint16(offsets))
			if i <= last || i >= n {
				return nil, false
			}
			positions, last, offsets = append(positions, i), i, offsets[2:]
		}
	}
	return positions, len(offsets) == 0
}

func groupPositions(v array.Value, n int) (positions []int, ok bool) {
	if v.Axis < 0 || v.Axis >= len(v.Dims) || v.M < 1 || v.M > 256 || v.N < 1 || v.N > v.M || v.Dims[v.Axis]%v.M != 0 {
		return nil, false
	}
	width := 0
	for 1<<width < v.M {
		width++
	}
	stored := n / v.M * v.N
	if len(v.Index) != (stored*width+7)/8 || len(v.Values) != stored*v.DType.Bytes(1) {
		return nil, false
	}
	for i := stored * width; i < 8*len(v.Index); i++ {
		if bit(v.Index, i) == 1 {
			return nil, false
		}
	}
	offsets := make([]int, stored)
	for k := range offsets {
		for b := range width {
			offsets[k] |= bit(v.Index, k*width+b) << b
		}
		if offsets[k] >= v.M || k%v.N > 0 && offsets[k] <= offsets[k-1] {
			return nil, false
		}
	}
	inner := 1
	for _, d := range v.Dims[v.Axis+1:] {
		inner *= d
	}
	positions = make([]int, stored)
	for i := range n { // every element looks for itself in its group
		group, offset := i/(inner*v.M)*inner+i%inner, i/inner%v.M
		for k := group * v.N; k < (group+1)*v.N; k++ {
			if offsets[k] == offset {
				positions[k] = i
			}
		}
	}
	return positions, true
}
