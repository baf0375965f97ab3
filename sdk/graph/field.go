package graph

import "github.com/compressaware/cram/sdk/array"

// A Field describes one named tensor of an example: an image, the ids of a text, a class index. Its
// shape has no batch axis. A symbol in it, such as T, is a size that differs between examples.
type Field struct {
	Name string
	Type
}

// Floats returns the field of float32 tensors of the given dimensions (none: one number an
// example).
func Floats(name string, dims ...int) Field {
	return Field{name, Type{DType: array.F32, Shape: Of(dims...)}}
}

// Batch returns the type of the field in a batch: the axis N in front.
func (f Field) Batch() Type {
	return Type{DType: f.DType, Shape: append(Shape{Sym("N")}, f.Shape...)}
}
