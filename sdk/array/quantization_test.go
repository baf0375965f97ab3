package array_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// quantized returns an I8 value of the given encoding, 2:4 along axis 1 for GroupNM.
func quantized(t *testing.T, e array.Encoding, q *array.Quantization, elements []int8, dims ...int) array.Value {
	t.Helper()
	x, err := array.New(array.I8, dims...)
	if err != nil || x.Len() != len(elements) {
		t.Fatalf("%d elements for %v: %v", len(elements), dims, err)
	}
	for k, v := range elements {
		x.Data[k] = byte(v)
	}
	var v array.Value
	if e == array.GroupNM {
		v, err = x.EncodeNM(2, 4, 1)
	} else {
		v, err = x.Encode(e)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.Quantization = q
	return v
}

var codes = []int8{1, 0, -128, 0, 0, 127, 0, -3}

// TestDequantize compares the cast with its formula, along every axis and in every encoding.
func TestDequantize(t *testing.T) {
	for _, dims := range [][]int{{2, 4}, {1, 8, 1}, {8}, {2, 4, 1}} {
		for axis := -1; axis < len(dims); axis++ {
			n := 1
			if axis >= 0 {
				n = dims[axis]
			}
			for _, e := range []array.Encoding{array.Dense, array.Bitmask, array.Index16, array.GroupNM} {
				if e == array.GroupNM && (len(dims) < 2 || dims[1]%4 != 0) {
					continue
				}
				q := &array.Quantization{Axis: axis, Scale: make([]float32, n), Zero: make([]int32, n)}
				for k := range n {
					q.Scale[k] = 0.1 * float32(k+1)
					if e == array.Dense {
						q.Zero[k] = int32(3*k - 128)
					}
				}
				t.Run(fmt.Sprint(dims, axis, e), func(t *testing.T) {
					v := quantized(t, e, q, codes, dims...)
					real, err := v.Cast(array.F32)
					if err != nil {
						t.Fatal(err)
					}
					if real.Encoding != e || real.DType != array.F32 || real.Quantization != nil || real.Stored() != v.Stored() {
						t.Errorf("cast gives %+v", real)
					}
					x, err := real.Decode()
					if err != nil {
						t.Fatal(err)
					}
					index := make([]int, len(dims))
					for i, got := range x.F32() {
						k := 0
						if axis >= 0 {
							k = index[axis]
						}
						want := float32(float64(q.Scale[k]) * (float64(codes[i]) - float64(q.Zero[k])))
						if got != want {
							t.Errorf("element %d is %v, want %v", i, got, want)
						}
						for a := len(dims) - 1; a >= 0; a-- {
							if index[a]++; index[a] < dims[a] {
								break
							}
							index[a] = 0
						}
					}
					integers, err := v.Decode()
					if err != nil || integers.DType != array.I8 || int8(integers.Data[2]) != -128 {
						t.Errorf("decoded %v, %v", integers, err)
					}
					same, err := v.Cast(array.I8)
					if err != nil || same.Quantization != q || !slices.Equal(same.Values, v.Values) {
						t.Errorf("cast to its own type: %+v, %v", same, err)
					}
				})
			}
		}
	}
}

func TestQuantizationRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, c := range map[string]struct {
		q    array.Quantization
		says string
	}{
		"axis too large":  {array.Quantization{Axis: 2, Scale: []float32{1}, Zero: []int32{0}}, "axis of [2 4] or -1, got 2"},
		"axis too small":  {array.Quantization{Axis: -2, Scale: []float32{1}, Zero: []int32{0}}, "got -2"},
		"few scales":      {array.Quantization{Axis: 1, Scale: []float32{1, 1}, Zero: []int32{0, 0}}, "want 4 scales and zeros, got 2 and 2"},
		"no zeros":        {array.Quantization{Scale: []float32{1, 1}}, "want 2 scales and zeros, got 2 and 0"},
		"two for a whole": {array.Quantization{Axis: -1, Scale: []float32{1, 1}, Zero: []int32{0, 0}}, "want 1 scales"},
		"scale 0":         {array.Quantization{Scale: []float32{1, 0}, Zero: []int32{0, 0}}, "got 0 at index 1"},
		"negative scale":  {array.Quantization{Scale: []float32{-1, 1}, Zero: []int32{0, 0}}, "got -1 at index 0"},
		"NaN":             {array.Quantization{Scale: []float32{nan, 1}, Zero: []int32{0, 0}}, "got NaN"},
		"infinite":        {array.Quantization{Scale: []float32{1, inf}, Zero: []int32{0, 0}}, "got +Inf at index 1"},
		"zero too large":  {array.Quantization{Scale: []float32{1, 1}, Zero: []int32{0, 128}}, "got 128 at index 1"},
		"zero too small":  {array.Quantization{Scale: []float32{1, 1}, Zero: []int32{-129, 0}}, "got -129 at index 0"},
	} {
		t.Run(name, func(t *testing.T) {
			v := quantized(t, array.Dense, &c.q, codes, 2, 4)
			for what, err := range map[string]error{"alone": c.q.Check([]int{2, 4}), "of a value": v.Check()} {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: want an error with %q, got %v", what, c.says, err)
				}
			}
		})
	}
	good := &array.Quantization{Axis: -1, Scale: []float32{2}, Zero: []int32{0}}
	refused := func(what string, err error, says string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: want an error with %q, got %v", what, says, err)
		}
	}
	_, err := quantized(t, array.Dense, good, codes, 8).Cast(array.F16)
	refused("cast to f16", err, "cast to f16; want f32")
	_, err = quantized(t, array.Dense, nil, codes, 8).Cast(array.F32)
	refused("cast without a quantization", err, "cast to f32")
	floats, err := array.From([]float32{1})
	if err != nil {
		t.Fatal(err)
	}
	v := array.DenseValue(floats)
	v.Quantization = good
	refused("floats", v.Check(), "want i8 elements")
	shifted := &array.Quantization{Axis: -1, Scale: []float32{2}, Zero: []int32{1}}
	refused("a sparse value with a zero", quantized(t, array.Bitmask, shifted, codes, 8).Check(), "want zeros of 0, got 1 at index 0")
	huge := &array.Quantization{Axis: -1, Scale: []float32{math.MaxFloat32}, Zero: []int32{0}}
	_, err = quantized(t, array.Dense, huge, codes, 8).Cast(array.F32)
	refused("overflow", err, "element 2 is beyond")
}
