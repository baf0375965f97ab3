package array_test

import (
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/compressaware/cram/sdk/array"
)

func TestNewTensor(t *testing.T) {
	for _, d := range []array.DType{array.F32, array.F64, array.F16, array.I8, array.I64, array.Bit} {
		for n := 1; n < 70; n++ {
			x, err := array.New(d, n)
			if err != nil {
				t.Fatal(err)
			}
			if err := x.Check(); err != nil {
				t.Error(err)
			}
			if at := uintptr(unsafe.Pointer(&x.Data[0])); at%64 != 0 {
				t.Errorf("%v[%d] is at %#x, not a multiple of 64", d, n, at)
			}
			if cap(x.Data) != len(x.Data) {
				t.Errorf("%v[%d] has room for %d bytes after its %d", d, n, cap(x.Data)-len(x.Data), len(x.Data))
			}
		}
	}
	scalar, err := array.New(array.F32)
	if err != nil || scalar.Len() != 1 || scalar.None() || !(array.Tensor{}).None() {
		t.Errorf("scalar %v, %v", scalar, err)
	}
	for name, f := range map[string]func() (array.Tensor, error){
		"no type":         func() (array.Tensor, error) { return array.New(0, 1) },
		"unknown type":    func() (array.Tensor, error) { return array.New(99, 1) },
		"zero extent":     func() (array.Tensor, error) { return array.New(array.F32, 2, 0) },
		"negative extent": func() (array.Tensor, error) { return array.New(array.F32, -1) },
		"overflow":        func() (array.Tensor, error) { return array.New(array.F32, math.MaxInt, math.MaxInt) },
		"wrapped short":   func() (array.Tensor, error) { return array.From([]float32{1, 2, 3}, 2, 2) },
		"wrapped nothing": func() (array.Tensor, error) { return array.From([]float32(nil)) },
		"wrapped zero":    func() (array.Tensor, error) { return array.From([]float32(nil), 0) },
		"scalar of bits":  func() (array.Tensor, error) { return array.Scalar(array.Bit, 1) },
	} {
		if x, err := f(); err == nil || !x.None() {
			t.Errorf("%s: got %v, %v", name, x, err)
		}
	}
}

func TestWrappedTensorShares(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	x, err := array.From(data, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	data[4] = 50
	if x.F32()[4] != 50 || x.F64() != nil || x.I32() != nil || x.I64() != nil {
		t.Errorf("views %v %v", x.F32(), x.F64())
	}
	c := x.Clone()
	data[0] = 99
	c.Dims[0] = 7
	if c.F32()[0] != 1 || x.Dims[0] != 2 {
		t.Error("a clone shares memory")
	}
}

func TestTensorCheck(t *testing.T) {
	buffer := make([]byte, 64)
	for name, c := range map[string]struct {
		x    array.Tensor
		says string
	}{
		"none":       {array.Tensor{}, "invalid"},
		"short":      {array.Tensor{DType: array.F32, Dims: []int{2}, Data: buffer[:7]}, "want 8 bytes, got 7"},
		"long":       {array.Tensor{DType: array.Bit, Dims: []int{9}, Data: buffer[:3]}, "want 2 bytes, got 3"},
		"no data":    {array.Tensor{DType: array.F32}, "want 4 bytes, got 0"},
		"size":       {array.Tensor{DType: array.F32, Dims: []int{-2, -4}, Data: buffer[:32]}, "dimension 0 is out of range"},
		"overflow":   {array.Tensor{DType: array.F32, Dims: []int{1 << 22, 1 << 22, 1 << 22}}, "dimension 2 is out of range"},
		"misaligned": {array.Tensor{DType: array.F64, Dims: []int{2}, Data: odd(buffer)[:16]}, "not aligned"},
	} {
		if err := c.x.Check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: want an error with %q, got %v", name, c.says, err)
		}
	}
	if x := (array.Tensor{DType: array.F64, Dims: []int{2}, Data: odd(buffer)[:16]}); x.F64() != nil {
		t.Error("a misaligned tensor has a view")
	}
}

// odd returns b from its first odd address on.
func odd(b []byte) []byte {
	if uintptr(unsafe.Pointer(&b[0]))%2 == 0 {
		return b[1:]
	}
	return b
}

func TestBits(t *testing.T) {
	x, err := array.New(array.Bit, 3, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{0, 7, 8, 20} {
		x.SetBit(k)
	}
	if got := [3]byte(x.Data); got != [3]byte{0b1000_0001, 0b1, 0b1_0000} {
		t.Errorf("bytes %08b", got)
	}
	for k := range x.Len() {
		if want := k == 0 || k == 7 || k == 8 || k == 20; x.Bit(k) != want {
			t.Errorf("bit %d is %v", k, x.Bit(k))
		}
	}
}
