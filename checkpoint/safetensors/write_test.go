package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk/array"
)

func value(t *testing.T, e array.Encoding, dims ...int) array.Value {
	t.Helper()
	x, err := array.New(array.F32, dims...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.F32() {
		x.F32()[i] = float32(i % 3)
	}
	v, err := x.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWrite(t *testing.T) {
	half, err := value(t, array.Dense, 3).Cast(array.F16)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]array.Value{
		"a.half": half, "dense": value(t, array.Dense, 2, 3), "mask": value(t, array.Bitmask, 5, 1), "z\"ü": value(t, array.Index16, 7), "scalar": value(t, array.Dense),
	}
	meta := map[string]string{"format": "pt"}
	var b, again bytes.Buffer
	if err := safetensors.Write(&b, in, meta); err != nil {
		t.Fatal(err)
	}
	if n := binary.LittleEndian.Uint64(b.Bytes()); n%8 != 0 {
		t.Errorf("the header has %d bytes, no multiple of 8", n)
	}
	if err := safetensors.Write(&again, in, meta); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("the same content gives other bytes, or %v", err)
	}
	f, err := safetensors.New(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"dense", "mask", "scalar", "z\"ü", "a.half"}, f.Names()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(meta, f.Metadata()); d != "" {
		t.Error(d)
	}
	for name, v := range in {
		want, err := v.Decode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Tensor(name)
		if err != nil || got.DType != want.DType || !bytes.Equal(got.Data, want.Data) || len(got.Dims) != len(want.Dims) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	bits, err := array.New(array.Bit, 8)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]array.Value{
		"mask":         array.DenseValue(bits),
		"__metadata__": value(t, array.Dense, 1),
		"broken":       {DType: array.F32, Dims: []int{4}},
	} {
		var b bytes.Buffer
		if err := safetensors.Write(&b, map[string]array.Value{name: v}, nil); err == nil || !strings.Contains(err.Error(), name) || b.Len() > 0 {
			t.Errorf("%s: %v, after %d bytes", name, err, b.Len())
		}
	}
}

// TestWriteQuantized holds that the real numbers of a quantized tensor are written.
func TestWriteQuantized(t *testing.T) {
	v := array.Value{DType: array.I8, Dims: []int{2, 2}, Values: []byte{1, 2, 3, 0xff},
		Quantization: &array.Quantization{Axis: 0, Scale: []float32{.5, 2}, Zero: []int32{1, 0}}}
	narrow := array.Value{DType: array.F16, Dims: []int{1}, Values: []byte{0, 0}}
	var b bytes.Buffer
	if err := safetensors.Write(&b, map[string]array.Value{"a": narrow, "w": v}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.New(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	x, err := f.Tensor("w")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]float32{0, .5, 6, -2}, x.F32()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"w", "a"}, f.Names()); d != "" {
		t.Error(d)
	}
}
