package data_test

import (
	"fmt"
	"log"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
)

func floats(t *testing.T, values []float32, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.From(values, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func ints(t *testing.T, values []int32, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.From(values, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestColumns(t *testing.T) {
	set, err := data.FromColumns(
		[]data.Column{{Name: "ids", Values: ints(t, []int32{1, 2, 3, 4, 5, 6}, 3, 2)}, {Name: "age", Values: floats(t, []float32{.1, .2, .3}, 3)}},
		[]data.Column{{Name: "price", Values: floats(t, []float32{10, 20, 30}, 3, 1)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range (data.Loader{Set: set, Batch: 2, Shuffle: true, Seed: 1}).Epoch(t.Context(), 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		n := b.Len()
		if !slices.Equal(b.Inputs[0].Dims, []int{n, 2}) || !slices.Equal(b.Inputs[1].Dims, []int{n}) || !slices.Equal(b.Targets[0].Dims, []int{n, 1}) {
			t.Errorf("batch of %d: dims %v, %v, %v", n, b.Inputs[0].Dims, b.Inputs[1].Dims, b.Targets[0].Dims)
		}
		for i, price := range b.Targets[0].F32() {
			if k := int32(price / 10); b.Inputs[0].I32()[2*i] != 2*k-1 || b.Inputs[1].F32()[i] != float32(k)/10 {
				t.Errorf("the fields of one example disagree: %v, %v, %v", b.Inputs[0].I32(), b.Inputs[1].F32(), b.Targets[0].F32())
			}
		}
	}
}

func TestColumnMistakes(t *testing.T) {
	x := data.Column{Name: "x", Values: floats(t, []float32{1, 2}, 2)}
	bits, err := array.New(array.Bit, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name            string
		inputs, targets []data.Column
		want            string
	}{
		{"no input", nil, []data.Column{x}, "want at least one input"},
		{"one name twice", []data.Column{x}, []data.Column{x}, `got "x" twice`},
		{"no name", []data.Column{{Values: x.Values}}, nil, "want a name for each field"},
		{"other length", []data.Column{x}, []data.Column{{Name: "y", Values: floats(t, []float32{1, 2, 3}, 3)}}, `column "y": want 2 examples as in "x", got 3`},
		{"scalar", []data.Column{{Name: "x", Values: array.Tensor{DType: array.F32, Data: make([]byte, 4)}}}, nil, "want shape [n ...]"},
		{"damaged tensor", []data.Column{{Name: "x", Values: array.Tensor{DType: array.F32, Dims: []int{2}}}}, nil, `column "x"`},
		{"bits", []data.Column{{Name: "x", Values: bits}}, nil, "want numbers, got bit"},
	} {
		if _, err := data.FromColumns(c.inputs, c.targets, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want an error with %q, got %v", c.name, c.want, err)
		}
	}
}

// texts is a set of examples of different lengths, the ids of a text and a mask. The mask of
// example 4 is too short.
type texts []int

func (s texts) Len() int          { return len(s) }
func (s texts) Classes() []string { return nil }
func (s texts) Inputs() []graph.Field {
	ids := graph.Type{DType: array.I32, Shape: graph.Shape{graph.Sym("T")}}
	return []graph.Field{{Name: "ids", Type: ids}, {Name: "mask", Type: graph.Type{DType: array.F32, Shape: ids.Shape}}}
}
func (s texts) Targets() []graph.Field { return nil }
func (s texts) Read(i int, e data.Example) (err error) {
	ids, mask := make([]int32, s[i]), make([]float32, s[i])
	for k := range ids {
		ids[k], mask[k] = int32(10*i+k), 1
	}
	if e.Inputs[0], err = array.From(ids); err != nil {
		return err
	}
	if i == 4 {
		mask = mask[1:]
	}
	e.Inputs[1], err = array.From(mask)
	return err
}

// TestRagged holds that examples of different lengths are padded with zeros to the longest of their
// batch.
func TestRagged(t *testing.T) {
	var got []string
	for b, err := range (data.Loader{Set: texts{2, 3, 1, 1}, Batch: 2}).Epoch(t.Context(), 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(b.Inputs[0].Dims, b.Inputs[0].I32(), b.Inputs[1].Dims, b.Inputs[1].F32(), len(b.Targets)))
	}
	want := []string{"[2 3] [0 1 0 10 11 12] [2 3] [1 1 0 1 1 1] 0", "[2 1] [20 30] [2 1] [1 1] 0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, err := range (data.Loader{Set: texts{2, 3, 1, 1, 3}, Batch: 5}).Epoch(t.Context(), 0, 0) {
		if err == nil || !strings.Contains(err.Error(), `field "mask" of example 4 of the batch: want T = 3 as in the fields before, got f32[2]`) {
			t.Errorf("for a mask that is shorter than the ids: error %v", err)
		}
	}
}

// misread is a set of two examples whose Read calls a function.
type misread struct {
	input graph.Field
	read  func(e data.Example)
}

func (m misread) Len() int                         { return 2 }
func (m misread) Classes() []string                { return nil }
func (m misread) Inputs() []graph.Field            { return []graph.Field{m.input} }
func (m misread) Targets() []graph.Field           { return nil }
func (m misread) Read(_ int, e data.Example) error { m.read(e); return nil }

// TestMisread holds that a Loader and ReadExample return an error for an example that does not have
// the types of its fields.
func TestMisread(t *testing.T) {
	ids := graph.Field{Name: "ids", Type: graph.Type{DType: array.I32, Shape: graph.Shape{graph.Sym("T")}}}
	store := func(x array.Tensor) func(data.Example) { return func(e data.Example) { e.Inputs[0] = x } }
	for _, c := range []struct {
		name string
		set  misread
		want string
	}{
		{"no tensor", misread{ids, func(data.Example) {}}, "got invalid"},
		{"no element", misread{ids, store(array.Tensor{DType: array.I32, Dims: []int{0}})}, "dimension 0 is out of range"},
		{"other type", misread{ids, store(floats(t, []float32{1}, 1))}, "want i32[T], got f32[1]"},
		{"other rank", misread{ids, store(array.Tensor{DType: array.I32, Data: make([]byte, 4)})}, "want i32[T], got i32[]"},
		{"damaged", misread{ids, store(array.Tensor{DType: array.I32, Dims: []int{1 << 30}})}, "got 0"},
	} {
		for _, err := range (data.Loader{Set: c.set, Batch: 2}).Epoch(t.Context(), 0, 0) {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: want an error with %q, got %v", c.name, c.want, err)
			}
		}
		if _, err := data.ReadExample(c.set, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: alone: want an error with %q, got %v", c.name, c.want, err)
		}
	}
	replaced := misread{graph.Floats("x", 1), store(floats(t, []float32{1}, 1))}
	for _, err := range (data.Loader{Set: replaced, Batch: 2}).Epoch(t.Context(), 0, 0) {
		if err == nil || !strings.Contains(err.Error(), `field "x": want Read to fill the tensor`) {
			t.Errorf("another tensor than that of the batch: %v", err)
		}
	}
	ids.Shape = graph.Shape{graph.Sym("N")}
	if _, err := (data.Loader{Set: misread{ids, nil}, Batch: 2}).Inputs(); err == nil || !strings.Contains(err.Error(), "one symbol other than N") {
		t.Errorf("the batch axis as a size of an example: %v", err)
	}
}

// TestReadRefuses holds that sets in memory read into examples of their fields only.
func TestReadRefuses(t *testing.T) {
	columns, err := data.FromColumns([]data.Column{{Name: "x", Values: floats(t, make([]float32, 8), 2, 4)}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]data.Set{"columns": columns, "labelled": labeled(t, numbered{n: 2})} {
		short := data.Example{Inputs: []array.Tensor{floats(t, make([]float32, 3), 3)}, Targets: make([]array.Tensor, len(set.Targets()))}
		for _, e := range []data.Example{{}, {Inputs: make([]array.Tensor, 1)}, {Inputs: make([]array.Tensor, 2)}, short} {
			if err := set.Read(0, e); err == nil || !strings.Contains(err.Error(), "data: example 0: ") {
				t.Errorf("%s into %v: got %v", name, e, err)
			}
		}
	}
}

func ExampleFromColumns() {
	ids, err := array.From([]int32{7, 8, 0, 9, 0, 0}, 2, 3)
	if err != nil {
		log.Fatal(err)
	}
	mask, err := array.From([]float32{1, 1, 0, 1, 0, 0}, 2, 3)
	if err != nil {
		log.Fatal(err)
	}
	stars, err := array.From([]float32{4.5, 2}, 2, 1)
	if err != nil {
		log.Fatal(err)
	}
	set, err := data.FromColumns(
		[]data.Column{{Name: "ids", Values: ids}, {Name: "mask", Values: mask}},
		[]data.Column{{Name: "stars", Values: stars}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range append(set.Inputs(), set.Targets()...) {
		fmt.Println(f.Name, f.Type)
	}
	// Output:
	// ids i32[3]
	// mask f32[3]
	// stars f32[1]
}
