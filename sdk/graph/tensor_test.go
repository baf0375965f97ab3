package graph_test

import (
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/compressaware/cram/sdk/graph"
)

func TestNewTensor(t *testing.T) {
	for _, d := range []graph.DType{graph.F32, graph.F64, graph.F16, graph.I8, graph.I64, graph.Bit} {
		for n := 1; n < 70; n++ {
			x, err := graph.New(d, n)
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
	scalar, err := graph.New(graph.F32)
	if err != nil || scalar.Len() != 1 || scalar.None() || !(graph.Tensor{}).None() {
		t.Errorf("scalar %v, %v", scalar, err)
	}
	for name, f := range map[string]func() (graph.Tensor, error){
		"no type":         func() (graph.Tensor, error) { return graph.New(0, 1) },
		"unknown type":    func() (graph.Tensor, error) { return graph.New(99, 1) },
		"zero extent":     func() (graph.Tensor, error) { return graph.New(graph.F32, 2, 0) },
		"negative extent": func() (graph.Tensor, error) { return graph.New(graph.F32, -1) },
		"overflow":        func() (graph.Tensor, error) { return graph.New(graph.F32, math.MaxInt, math.MaxInt) },
		"wrapped short":   func() (graph.Tensor, error) { return graph.FromF32([]float32{1, 2, 3}, 2, 2) },
		"wrapped nothing": func() (graph.Tensor, error) { return graph.FromF64(nil) },
		"wrapped zero":    func() (graph.Tensor, error) { return graph.FromI32(nil, 0) },
		"scalar of bits":  func() (graph.Tensor, error) { return graph.Scalar(graph.Bit, 1) },
	} {
		if x, err := f(); err == nil || !x.None() {
			t.Errorf("%s: got %v, %v", name, x, err)
		}
	}
}

func TestWrappedTensorShares(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	x, err := graph.FromF32(data, 2, 3)
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
		x    graph.Tensor
		says string
	}{
		"none":       {graph.Tensor{}, "invalid"},
		"short":      {graph.Tensor{DType: graph.F32, Dims: []int{2}, Data: buffer[:7]}, "wants 8 bytes, has 7"},
		"long":       {graph.Tensor{DType: graph.Bit, Dims: []int{9}, Data: buffer[:3]}, "wants 2 bytes, has 3"},
		"no data":    {graph.Tensor{DType: graph.F32}, "wants 4 bytes, has 0"},
		"extent":     {graph.Tensor{DType: graph.F32, Dims: []int{-2, -4}, Data: buffer[:32]}, "dimension 0 is out of range"},
		"overflow":   {graph.Tensor{DType: graph.F32, Dims: []int{1 << 33, 1 << 33}}, "dimension 1 is out of range"},
		"misaligned": {graph.Tensor{DType: graph.F64, Dims: []int{2}, Data: odd(buffer)[:16]}, "not aligned"},
	} {
		if err := c.x.Check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: want an error with %q, got %v", name, c.says, err)
		}
	}
	if x := (graph.Tensor{DType: graph.F64, Dims: []int{2}, Data: odd(buffer)[:16]}); x.F64() != nil {
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
	x, err := graph.New(graph.Bit, 3, 7)
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
