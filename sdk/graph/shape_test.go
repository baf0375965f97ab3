package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func TestShape(t *testing.T) {
	n, length := graph.Sym("N"), graph.Sym("T")
	for _, c := range []struct {
		shape graph.Shape
		text  string
		size  graph.Dim
		fixed bool
	}{
		{nil, "[]", graph.Dim{C: 1}, true},
		{graph.Of(2, 3), "[2 3]", graph.Dim{C: 6}, true},
		{graph.Batch(), "[N]", n, false},
		{graph.Batch(3, 32), "[N 3 32]", graph.Dim{C: 96, Sym: "N"}, false},
		{graph.Shape{length, n}, "[T N]", graph.Dim{C: 1, Sym: "N*T"}, false},
		{graph.Shape{n, n, {C: 2}}, "[N N 2]", graph.Dim{C: 2, Sym: "N*N"}, false},
		{graph.Shape{n.Mul(length).Mul(graph.Dim{C: 4})}, "[4*N*T]", graph.Dim{C: 4, Sym: "N*T"}, false},
	} {
		if got := c.shape.String(); got != c.text {
			t.Errorf("%q, want %q", got, c.text)
		}
		if got := c.shape.Size(); got != c.size {
			t.Errorf("size of %v is %v, want %v", c.shape, got, c.size)
		}
		if _, fixed := c.shape.Dims(); fixed != c.fixed {
			t.Errorf("%v is fixed: %v", c.shape, fixed)
		}
	}
	if a, b := n.Mul(length), length.Mul(n); a != b {
		t.Errorf("%v and %v differ", a, b)
	}
	if graph.Batch(3).Equal(graph.Of(1, 3)) || graph.Of(3).Equal(graph.Of(3, 1)) || !graph.Of().Equal(nil) {
		t.Error("Equal")
	}
}

func TestShapeBind(t *testing.T) {
	s := graph.Shape{graph.Sym("N"), {C: 3}, graph.Dim{C: 2}.Mul(graph.Sym("N")).Mul(graph.Sym("T"))}
	got, err := s.Bind(graph.Sizes{"N": 5, "T": 7})
	if err != nil || fmt.Sprint(got) != "[5 3 70]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := s.Bind(graph.Sizes{"N": 5}); err == nil || !strings.Contains(err.Error(), `no size for symbol "T"`) {
		t.Errorf("got %v", err)
	}
}

func TestReshapeRest(t *testing.T) {
	b := graph.NewBuilder()
	n, length := graph.Sym("N"), graph.Sym("T")
	x := b.Input("x", array.F32, graph.Shape{n, length, {C: 12}})
	for _, c := range []struct {
		to, want graph.Shape
	}{
		{graph.Shape{{}, {C: 12}}, graph.Shape{n.Mul(length), {C: 12}}},
		{graph.Shape{n, {}}, graph.Shape{n, {C: 12, Sym: "T"}}},
		{graph.Shape{n, length, {C: 3}, {}}, graph.Shape{n, length, {C: 3}, {C: 4}}},
		{graph.Shape{{}}, graph.Shape{{C: 12, Sym: "N*T"}}},
	} {
		if got := b.Shape(b.Reshape(x, c.to)); !got.Equal(c.want) {
			t.Errorf("%v to %v is %v, want %v", b.Shape(x), c.to, got, c.want)
		}
	}
	if got := b.Shape(b.Flatten(x, 1)); !got.Equal(graph.Shape{n, {C: 12, Sym: "T"}}) {
		t.Errorf("flatten gives %v", got)
	}
	if got := b.Shape(b.Flatten(x, 3)); !got.Equal(graph.Shape{n, length, {C: 12}, {C: 1}}) {
		t.Errorf("flatten of no axes gives %v", got)
	}
	if err := b.Err(); err != nil {
		t.Error(err)
	}
}

func TestDTypes(t *testing.T) {
	for d, bytes := range map[array.DType]int{array.F32: 36, array.F64: 72, array.F16: 18, array.BF16: 18, array.I8: 9, array.I32: 36, array.I64: 72, array.Bit: 2} {
		if got := d.Bytes(9); got != bytes {
			t.Errorf("9 elements of %v take %d bytes, want %d", d, got, bytes)
		}
		if got, err := array.ParseDType(d.String()); err != nil || got != d || !d.Valid() {
			t.Errorf("%v parses as %v, %v", d, got, err)
		}
	}
	for _, s := range []string{"", "invalid", "F32", "float32", "dtype(9)"} {
		if d, err := array.ParseDType(s); err == nil {
			t.Errorf("%q parses as %v", s, d)
		}
	}
	if d := array.DType(200); d.Valid() || d.Float() || d.Bytes(8) != 0 || d.String() != "dtype(200)" {
		t.Errorf("%v", d)
	}
	if !array.BF16.Float() || array.I8.Float() || array.Bit.Float() || array.InvalidDType.Valid() {
		t.Error("Float or Valid")
	}
}
