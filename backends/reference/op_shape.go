package reference

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func reshape(_ graph.Attr, x, y []operand) error {
	copy(y[0].f, x[0].f)
	copy(y[0].i, x[0].i)
	return nil
}

func transpose(attr graph.Attr, x, y []operand) error {
	from := strides(x[0].dims)
	along := make([]int, len(from))
	for ax, p := range attr.(graph.TransposeAttr).Perm {
		along[ax] = from[p]
	}
	walk(y[0].dims, 0, along, func(k, j int) { y[0].copy(k, x[0], j) })
	return nil
}

func broadcast(_ graph.Attr, x, y []operand) error {
	from := strides(x[0].dims)
	along := make([]int, len(y[0].dims)) // 0 along axes that repeat
	added := len(along) - len(from)
	for ax, d := range x[0].dims {
		if d != 1 {
			along[added+ax] = from[ax]
		}
	}
	walk(y[0].dims, 0, along, func(k, j int) { y[0].copy(k, x[0], j) })
	return nil
}

func slice(attr graph.Attr, x, y []operand) error {
	a := attr.(graph.SliceAttr)
	along, begin := strides(x[0].dims), 0
	for ax := range along {
		begin += a.Begin[ax] * along[ax]
		along[ax] *= a.Step[ax]
	}
	walk(y[0].dims, begin, along, func(k, j int) { y[0].copy(k, x[0], j) })
	return nil
}

func pad(attr graph.Attr, x, y []operand) error {
	a := attr.(graph.PadAttr)
	along, begin := strides(y[0].dims), 0
	for ax := range along {
		begin += a.Lo[ax] * along[ax]
		along[ax] *= a.Inner[ax] + 1
	}
	walk(x[0].dims, begin, along, func(k, j int) { y[0].copy(j, x[0], k) })
	return nil
}

func concat(attr graph.Attr, x, y []operand) error {
	axis := attr.(graph.ConcatAttr).Axis
	along, at := strides(y[0].dims), 0
	for _, x := range x {
		walk(x.dims, at*along[axis], along, func(k, j int) { y[0].copy(j, x, k) })
		at += x.dims[axis]
	}
	return nil
}

func gather(_ graph.Attr, x, y []operand) error {
	table, index := x[0], x[1]
	width := array.Count(table.dims[1:])
	for n, row := range index.i {
		if err := inRange("index", n, row, table.dims[0]); err != nil {
			return err
		}
		for j := range width {
			y[0].copy(n*width+j, table, int(row)*width+j)
		}
	}
	return nil
}

func scatterAdd(_ graph.Attr, x, y []operand) error {
	src, index := x[0], x[1]
	width := array.Count(y[0].dims[1:])
	for n, row := range index.i {
		if err := inRange("index", n, row, y[0].dims[0]); err != nil {
			return err
		}
		for j := range width {
			y[0].f[int(row)*width+j] += src.f[n*width+j]
		}
	}
	return nil
}

func inRange(what string, n int, v int64, size int) error {
	if v < 0 || v >= int64(size) {
		return fmt.Errorf("%s %d at position %d is not in [0, %d)", what, v, n, size)
	}
	return nil
}
