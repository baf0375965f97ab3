package data

import (
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// pad sets the tensors of batch whose fields have a symbolic shape. Each consists of the tensors of
// the examples, ragged[field][example], padded with zeros to the greatest size that each symbol has
// in the batch. Within one example a symbol has the same size in all fields.
func pad(batch []array.Tensor, fields []graph.Field, ragged [][]array.Tensor) error {
	greatest := graph.Sizes{}
	for at := range longest(ragged) {
		sizes := graph.Sizes{}
		for k, f := range fields {
			if len(ragged[k]) == 0 {
				continue
			}
			if err := measure(f, ragged[k][at], sizes); err != nil {
				return fmt.Errorf("data: field %q of example %d of the batch: %w", f.Name, at, err)
			}
		}
		for name, n := range sizes {
			greatest[name] = max(greatest[name], n)
		}
	}
	for k, f := range fields {
		if len(ragged[k]) == 0 {
			continue
		}
		dims, err := f.Shape.Bind(greatest)
		if err != nil {
			return fmt.Errorf("data: field %q: %w", f.Name, err)
		}
		t, err := array.New(f.DType, append([]int{len(ragged[k])}, dims...)...)
		if err != nil {
			return fmt.Errorf("data: field %q: %w", f.Name, err)
		}
		for at, example := range ragged[k] {
			copyCorner(row(t, at), example)
		}
		batch[k] = t
	}
	return nil
}

// longest returns the number of examples of a field of symbolic shape; 0 if there is no such field.
func longest(ragged [][]array.Tensor) int {
	n := 0
	for _, tensors := range ragged {
		n = max(n, len(tensors))
	}
	return n
}

// measure checks the tensor of one example against its field and adds the sizes of its symbols to
// sizes.
func measure(f graph.Field, t array.Tensor, sizes graph.Sizes) error {
	if err := t.Check(); err != nil {
		return err
	}
	if t.DType != f.DType || len(t.Dims) != len(f.Shape) {
		return fmt.Errorf("want %v, got %v%v", f.Type, t.DType, t.Dims)
	}
	for axis, d := range f.Shape {
		if d.Fixed() {
			if t.Dims[axis] != d.C {
				return fmt.Errorf("want %v, got %v%v", f.Type, t.DType, t.Dims)
			}
			continue
		}
		if n, ok := sizes[d.Sym]; ok && n != t.Dims[axis] {
			return fmt.Errorf("want %s = %d as in the fields before, got %v%v", d.Sym, n, t.DType, t.Dims)
		}
		sizes[d.Sym] = t.Dims[axis]
	}
	return nil
}

// copyCorner copies src to the corner of dst at index 0 of every axis. Both have the same dtype and
// rank, and no dimension of src is greater than that of dst.
func copyCorner(dst, src array.Tensor) {
	if len(dst.Dims) == 0 || slices.Equal(dst.Dims, src.Dims) {
		copy(dst.Data, src.Data)
		return
	}
	for i := range src.Dims[0] {
		copyCorner(row(dst, i), row(src, i))
	}
}
