package data

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/internal/gorgonia"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A Set is a collection of examples that are read by index. Its methods are safe for concurrent
// use.
//
// [Labeled] is a shorter interface for examples that consist of one float32 tensor and one class.
type Set interface {
	// Len returns the number of examples.
	Len() int
	// Inputs returns the fields that the network reads, the main one first. The caller must not
	// change the result.
	Inputs() []graph.Field
	// Targets returns the fields that the loss compares with outputs, the main one first. A class
	// index is an I32 scalar. Targets is empty for a set without targets. The caller must not
	// change the result.
	Targets() []graph.Field
	// Classes returns the names of the values of a class index, or of the elements of a multi-label
	// target; nil if they have no names. The caller must not change the result.
	Classes() []string
	// Read writes example i, from 0 to Len−1, to e, which has one tensor for each field, in order.
	// The tensor of a field of constant shape is allocated, and Read fills it. The tensor of any
	// other field is none, and Read replaces it. Values are in the raw unit of the set: [0, 1] for
	// images.
	Read(i int, e Example) error
}

// An Example holds the tensors of one example.
type Example struct {
	// Inputs and Targets have one tensor for each field of the set, in order and without a batch
	// axis.
	Inputs, Targets []array.Tensor
}

// takes returns an error unless e has memory for an example of fields of constant shape.
func (e Example) takes(inputs, targets []graph.Field) error {
	if len(e.Inputs) != len(inputs) || len(e.Targets) != len(targets) {
		return fmt.Errorf("want %d inputs and %d targets, got %d and %d", len(inputs), len(targets), len(e.Inputs), len(e.Targets))
	}
	for k, f := range inputs {
		if err := holds(e.Inputs[k], f); err != nil {
			return err
		}
	}
	for k, f := range targets {
		if err := holds(e.Targets[k], f); err != nil {
			return err
		}
	}
	return nil
}

// holds returns an error unless t has memory for a field of constant shape.
func holds(t array.Tensor, f graph.Field) error {
	dims, _ := f.Shape.Dims()
	if n := array.Count(dims); t.DType != f.DType || len(t.Data) != f.DType.Bytes(n) {
		return fmt.Errorf("field %q: want memory for %d values of type %v, got %d bytes of type %v",
			f.Name, n, f.DType, len(t.Data), t.DType)
	}
	return nil
}

// check returns an error unless e has a tensor of the type of each field.
func (e Example) check(inputs, targets []graph.Field) error {
	if len(e.Inputs) != len(inputs) || len(e.Targets) != len(targets) {
		return fmt.Errorf("want %d inputs and %d targets, got %d and %d", len(inputs), len(targets), len(e.Inputs), len(e.Targets))
	}
	sizes := graph.Sizes{}
	for k, f := range inputs {
		if err := measure(f, e.Inputs[k], sizes); err != nil {
			return fmt.Errorf("input %q: %w", f.Name, err)
		}
	}
	for k, f := range targets {
		if err := measure(f, e.Targets[k], sizes); err != nil {
			return fmt.Errorf("target %q: %w", f.Name, err)
		}
	}
	return nil
}

// A Labeled is a collection of examples that consist of one float32 tensor and one class.
// [FromLabeled] makes a [Set] of it. Its methods are safe for concurrent use.
type Labeled interface {
	// Len returns the number of examples.
	Len() int
	// Shape returns the dimensions of one example, [C, H, W] for images. The caller must not change
	// the result.
	Shape() []int
	// Classes returns the names of the classes by label; nil if they have no names. The caller must
	// not change the result.
	Classes() []string
	// Read writes example i to dst, row-major and of the length that Shape implies, and returns its
	// label, which counts from 0.
	Read(i int, dst []float32) (label int, err error)
}

// FromLabeled makes a [Set] of l with the input "x", F32 in the shape of l, and the target "y", the
// label as I32 scalar. It is an error if l is nil or its shape is empty. Read of the set returns an
// error for a label that is negative or has no class name.
func FromLabeled(l Labeled) (Set, error) {
	if l == nil {
		return nil, errors.New("data: want a Labeled, got nil")
	}
	shape := l.Shape()
	if _, err := gorgonia.Elements(shape); err != nil {
		return nil, fmt.Errorf("data: shape of one example: %w", err)
	}
	return labeled{l, graph.Type{DType: array.F32, Shape: graph.Of(shape...)}}, nil
}

// labeled is a Labeled as a Set.
type labeled struct {
	Labeled
	input graph.Type
}

func (l labeled) Inputs() []graph.Field { return []graph.Field{{Name: "x", Type: l.input}} }

func (l labeled) Targets() []graph.Field {
	return []graph.Field{{Name: "y", Type: graph.Type{DType: array.I32}}}
}

func (l labeled) Read(i int, e Example) error {
	if err := e.takes(l.Inputs(), l.Targets()); err != nil {
		return fmt.Errorf("data: example %d: %w", i, err)
	}
	label, err := l.Labeled.Read(i, e.Inputs[0].F32())
	if err == nil {
		err = checkLabel(label, l.Classes())
	}
	if err != nil {
		return err
	}
	e.Targets[0].I32()[0] = int32(label)
	return nil
}

// A Split is a part of a published data set.
type Split int

const (
	Train Split = iota // the examples for training
	Test               // the examples for evaluation
)

// String returns "train" or "test".
func (s Split) String() string {
	switch s {
	case Train:
		return "train"
	case Test:
		return "test"
	}
	return fmt.Sprintf("Split(%d)", int(s))
}

func (s Split) check() error {
	if s != Train && s != Test {
		return fmt.Errorf("data: want data.Train or data.Test, got %v", s)
	}
	return nil
}

// FromSlices returns a set of examples in memory. Shape is that of one example, x contains the
// examples one after another, row-major, and labels their classes, which count from 0. Classes has
// the names of the classes; nil if they have no names. The set refers to the slices, so the caller
// must not change them.
//
// It is an error if there is no example, if x does not have one example for each label, or if a
// label is negative or has no name.
func FromSlices(shape []int, x []float32, labels []int, classes []string) (Set, error) {
	n, err := gorgonia.Elements(shape)
	if err != nil {
		return nil, fmt.Errorf("data: shape of one example: %w", err)
	}
	if len(labels) == 0 {
		return nil, errors.New("data: want at least one example, got no labels")
	}
	if len(x)%n != 0 || len(x)/n != len(labels) {
		return nil, fmt.Errorf("data: want %d values for %d labels of examples of shape %v, got %d",
			len(labels)*n, len(labels), shape, len(x))
	}
	for i, label := range labels {
		if err := checkLabel(label, classes); err != nil {
			return nil, fmt.Errorf("data: example %d: %w", i, err)
		}
	}
	return FromLabeled(&memory{shape: slices.Clone(shape), x: x, labels: labels, classes: classes})
}

// FromTensor returns a set of examples in memory: x is a Float32 tensor [N, dimensions of one
// example], labels has N classes. The set refers to the memory of a contiguous, row-major tensor
// and copies any other. The errors are those of [FromSlices].
func FromTensor(x *tensor.Dense, labels []int) (Set, error) {
	dims, values, err := gorgonia.From(x)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if len(dims) < 2 {
		return nil, fmt.Errorf("data: want a tensor of shape [N, ...] with at least two dimensions, got %v", dims)
	}
	return FromSlices(dims[1:], values, labels, nil)
}

// memory is a Labeled of float32 examples in memory.
type memory struct {
	shape   []int
	x       []float32
	labels  []int
	classes []string
}

func (m *memory) Len() int          { return len(m.labels) }
func (m *memory) Shape() []int      { return m.shape }
func (m *memory) Classes() []string { return m.classes }

func (m *memory) Read(i int, dst []float32) (int, error) {
	size := len(m.x) / len(m.labels)
	if err := checkRead(i, len(m.labels), len(dst), size); err != nil {
		return 0, err
	}
	copy(dst, m.x[i*size:][:size])
	return m.labels[i], nil
}

// Subset returns the examples of set at the given indices, in that order, for example to hold out a
// part for validation. An index may repeat. It is an error if set is nil, indices is empty or an
// index is not from 0 to Len−1.
func Subset(set Set, indices []int) (Set, error) {
	if set == nil {
		return nil, errors.New("data: Subset: want a Set, got nil")
	}
	if len(indices) == 0 {
		return nil, errors.New("data: Subset: want at least one index, got none")
	}
	for at, i := range indices {
		if i < 0 || i >= set.Len() {
			return nil, fmt.Errorf("data: Subset: indices[%d] is %d, want 0 to %d", at, i, set.Len()-1)
		}
	}
	return &subset{Set: set, indices: slices.Clone(indices)}, nil
}

// Sample returns n examples of set, drawn without replacement. Which ones depends only on n, the
// seed and the number of examples. It is an error if set is nil or n is not from 1 to Len.
func Sample(set Set, n int, seed uint64) (Set, error) {
	if set == nil {
		return nil, errors.New("data: Sample: want a Set, got nil")
	}
	if n < 1 || n > set.Len() {
		return nil, fmt.Errorf("data: Sample: want 1 to %d examples, got %d", set.Len(), n)
	}
	return Subset(set, NewRandom(streamSample, seed).Perm(set.Len())[:n])
}

type subset struct {
	Set
	indices []int
}

func (s *subset) Len() int { return len(s.indices) }

func (s *subset) Read(i int, e Example) error {
	if i < 0 || i >= len(s.indices) {
		return fmt.Errorf("data: want an example from 0 to %d, got %d", len(s.indices)-1, i)
	}
	return s.Set.Read(s.indices[i], e)
}

// pixels is a Labeled of 8-bit images [C H W] in memory.
type pixels struct {
	shape   []int
	x       []byte
	labels  []byte
	classes []string
}

func (p *pixels) Len() int          { return len(p.labels) }
func (p *pixels) Shape() []int      { return p.shape }
func (p *pixels) Classes() []string { return p.classes }

func (p *pixels) Read(i int, dst []float32) (int, error) {
	size := len(p.x) / len(p.labels)
	if err := checkRead(i, len(p.labels), len(dst), size); err != nil {
		return 0, err
	}
	scalePixels(dst, p.x[i*size:][:size])
	return int(p.labels[i]), nil
}

// unit[v] is v/255 rounded to float32, as in PyTorch's ToTensor.
var unit = func() (t [256]float32) {
	for v := range t {
		t[v] = float32(v) / 255
	}
	return t
}()

// scalePixels writes src/255 to dst.
func scalePixels(dst []float32, src []byte) {
	for k, v := range src {
		dst[k] = unit[v]
	}
}

func checkRead(i, n, got, size int) error {
	if i < 0 || i >= n {
		return fmt.Errorf("data: want an example from 0 to %d, got %d", n-1, i)
	}
	if got != size {
		return fmt.Errorf("data: example %d: want a slice of %d values, got %d", i, size, got)
	}
	return nil
}

func checkLabel(label int, classes []string) error {
	if label < 0 || label > math.MaxInt32 {
		return fmt.Errorf("want a label of 0 or more, got %d", label)
	}
	if classes != nil && label >= len(classes) {
		return fmt.Errorf("want a label from 0 to %d (%d classes), got %d", len(classes)-1, len(classes), label)
	}
	return nil
}

// ReadExample returns example i of a set in new memory. It is an error if set is nil, if Read of
// the set returns one, or if Read stores a tensor that does not have the type of its field.
func ReadExample(set Set, i int) (Example, error) {
	if set == nil {
		return Example{}, errors.New("data: ReadExample: want a Set, got nil")
	}
	e := Example{make([]array.Tensor, len(set.Inputs())), make([]array.Tensor, len(set.Targets()))}
	for k, f := range slices.Concat(set.Inputs(), set.Targets()) {
		dims, constant := f.Shape.Dims()
		if !constant {
			continue
		}
		t, err := array.New(f.DType, dims...)
		if err != nil {
			return Example{}, fmt.Errorf("data: field %q: %w", f.Name, err)
		}
		if k < len(e.Inputs) {
			e.Inputs[k] = t
		} else {
			e.Targets[k-len(e.Inputs)] = t
		}
	}
	if err := set.Read(i, e); err != nil {
		return Example{}, err
	}
	if err := e.check(set.Inputs(), set.Targets()); err != nil {
		return Example{}, fmt.Errorf("data: example %d: %w", i, err)
	}
	return e, nil
}
