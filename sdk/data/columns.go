package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A Column holds one field of all examples.
type Column struct {
	// Name is the name of the field. It is required.
	Name string
	// Values contains the field of n examples, a tensor [n, dimensions of the field] of any dtype
	// but Bit.
	Values array.Tensor
}

// FromColumns returns a set of examples in memory with any number of inputs and targets: ids and a
// mask, a number to predict, a 0 or 1 for each of several labels. The main input and the main
// target are the first ones. Classes names the values of a class index or the elements of a
// multi-label target; nil if they have no names. The set refers to the tensors, so the caller must
// not change them.
//
// It is an error if there is no input, a column has no name or the name of another one, the columns
// have different numbers of examples, or a dtype is Bit.
func FromColumns(inputs, targets []Column, classes []string) (Set, error) {
	if len(inputs) == 0 {
		return nil, errors.New("data: FromColumns: want at least one input, got none")
	}
	c := &columns{inputs: slices.Clone(inputs), targets: slices.Clone(targets), classes: classes}
	for _, column := range slices.Concat(inputs, targets) {
		if err := column.Values.Check(); err != nil {
			return nil, fmt.Errorf("data: column %q: %w", column.Name, err)
		}
		dims := column.Values.Dims
		if len(dims) == 0 {
			return nil, fmt.Errorf("data: column %q: want shape [n ...], got a scalar", column.Name)
		}
		if n := inputs[0].Values.Dims[0]; dims[0] != n {
			return nil, fmt.Errorf("data: column %q: want %d examples as in %q, got %d", column.Name, n, inputs[0].Name, dims[0])
		}
	}
	c.inputFields, c.targetFields = fieldsOf(inputs), fieldsOf(targets)
	if err := checkFields(c.inputFields, c.targetFields); err != nil {
		return nil, fmt.Errorf("data: FromColumns: %w", err)
	}
	return c, nil
}

type columns struct {
	inputs, targets           []Column
	inputFields, targetFields []graph.Field
	classes                   []string
}

func (c *columns) Len() int               { return c.inputs[0].Values.Dims[0] }
func (c *columns) Inputs() []graph.Field  { return c.inputFields }
func (c *columns) Targets() []graph.Field { return c.targetFields }
func (c *columns) Classes() []string      { return c.classes }

func fieldsOf(columns []Column) []graph.Field {
	fields := make([]graph.Field, len(columns))
	for i, c := range columns {
		fields[i] = graph.Field{Name: c.Name, Type: graph.Type{DType: c.Values.DType, Shape: graph.Of(c.Values.Dims[1:]...)}}
	}
	return fields
}

func (c *columns) Read(i int, e Example) error {
	if i < 0 || i >= c.Len() {
		return fmt.Errorf("data: want an example from 0 to %d, got %d", c.Len()-1, i)
	}
	if err := e.takes(c.inputFields, c.targetFields); err != nil {
		return fmt.Errorf("data: example %d: %w", i, err)
	}
	for k, column := range c.inputs {
		copy(e.Inputs[k].Data, row(column.Values, i).Data)
	}
	for k, column := range c.targets {
		copy(e.Targets[k].Data, row(column.Values, i).Data)
	}
	return nil
}

// row returns element i of the first axis of t, which is not of dtype Bit, in the memory of t.
func row(t array.Tensor, i int) array.Tensor {
	size := t.DType.Bytes(array.Count(t.Dims[1:]))
	return array.Tensor{DType: t.DType, Dims: t.Dims[1:], Data: t.Data[i*size:][:size:size]}
}

// rows returns the first n elements of the first axis of t in the memory of t.
func rows(t array.Tensor, n int) array.Tensor {
	size := t.DType.Bytes(array.Count(t.Dims[1:]))
	return array.Tensor{DType: t.DType, Dims: append([]int{n}, t.Dims[1:]...), Data: t.Data[: n*size : n*size]}
}

// checkFields returns an error unless there is an input, the names of the fields differ, and each
// field has a type that examples can have.
func checkFields(inputs, targets []graph.Field) error {
	if len(inputs) == 0 {
		return errors.New("want at least one input, got none")
	}
	seen := map[string]bool{}
	for _, f := range slices.Concat(inputs, targets) {
		switch {
		case f.Name == "":
			return fmt.Errorf("want a name for each field, got none for one of type %v", f.Type)
		case seen[f.Name]:
			return fmt.Errorf("want fields of different names, got %q twice", f.Name)
		case !f.DType.Valid() || f.DType == array.Bit:
			return fmt.Errorf("field %q: want numbers, got %v", f.Name, f.DType)
		}
		seen[f.Name] = true
		for axis, d := range f.Shape {
			if d.C < 1 || !d.Fixed() && d != graph.Sym(d.Sym) || strings.Contains(d.Sym, "*") || d.Sym == "N" {
				return fmt.Errorf("field %q: shape %v: want a size of at least 1 or one symbol other than N at axis %d, got %v",
					f.Name, f.Shape, axis, d)
			}
		}
	}
	return nil
}
