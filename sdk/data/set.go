package data

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/internal/gorgonia"
)

// Set is a finite, indexable collection of labelled examples. All methods are safe for concurrent use.
type Set interface {
	// Len returns the number of examples.
	Len() int
	// Shape returns the dimensions of one example, [C,H,W] for images. The caller must not change it.
	Shape() []int
	// Classes returns the class names by label, or nil if they have none. The caller must not change it.
	Classes() []string
	// Read writes example i to dst, whose length is the product of Shape, and returns its label. Values are in the
	// set's raw unit, [0,1] for images; channels come before rows, rows before columns.
	Read(i int, dst []float32) (label int, err error)
}

// Split tells the two halves of a published data set apart.
type Split int

const (
	Train Split = iota // the examples to train on
	Test               // the examples to judge by
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
		return fmt.Errorf("data: expected split data.Train or data.Test, got %v", s)
	}
	return nil
}

// FromSlices returns a set over examples held in memory: x is row-major with shape [len(labels), shape...], labels
// count from 0, classes (may be nil) names them. The slices are aliased, not copied: change them no more.
//
// It is an error if there are no examples, the lengths disagree, or a label is negative or has no name.
func FromSlices(shape []int, x []float32, labels []int, classes []string) (Set, error) {
	n, err := gorgonia.Elements(shape)
	if err != nil {
		return nil, fmt.Errorf("data: shape of one example: %w", err)
	}
	if len(labels) == 0 {
		return nil, fmt.Errorf("data: expected at least one example, got no labels")
	}
	if len(x)%n != 0 || len(x)/n != len(labels) {
		return nil, fmt.Errorf("data: %d labels of examples of shape %v need %d times %d values, got %d", len(labels), shape, len(labels), n, len(x))
	}
	for i, label := range labels {
		if err := checkLabel(label, classes); err != nil {
			return nil, fmt.Errorf("data: example %d: %w", i, err)
		}
	}
	return &memory{shape: slices.Clone(shape), x: x, labels: labels, classes: classes}, nil
}

// FromTensor returns a set over a Float32 tensor of shape [N, ...], one label for each of its N examples. It keeps to
// the rules of [FromSlices]; a tensor that is contiguous and row-major is aliased, any other is copied.
func FromTensor(x *tensor.Dense, labels []int) (Set, error) {
	dims, values, err := gorgonia.From(x)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if len(dims) < 2 {
		return nil, fmt.Errorf("data: expected a tensor of shape [N, ...] with at least two dimensions, got %v", dims)
	}
	return FromSlices(dims[1:], values, labels, nil)
}

// memory is a set of float32 examples in memory.
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

// Subset returns the examples of set at the given indices, in that order; an index may repeat. Use it to hold out a
// validation part or to shorten a run. It is an error if indices is empty or one is out of range.
func Subset(set Set, indices []int) (Set, error) {
	if set == nil {
		return nil, fmt.Errorf("data: subset of a nil Set")
	}
	if len(indices) == 0 {
		return nil, fmt.Errorf("data: expected at least one index, got none")
	}
	for at, i := range indices {
		if i < 0 || i >= set.Len() {
			return nil, fmt.Errorf("data: indices[%d] is %d, expected 0 to %d", at, i, set.Len()-1)
		}
	}
	return &subset{Set: set, indices: slices.Clone(indices)}, nil
}

// Sample returns n examples of set drawn without replacement, a function of the seed. It is an error if n is below
// one or above the number of examples.
func Sample(set Set, n int, seed uint64) (Set, error) {
	if set == nil {
		return nil, fmt.Errorf("data: sample of a nil Set")
	}
	if n < 1 || n > set.Len() {
		return nil, fmt.Errorf("data: sample of %d examples from a set of %d: expected 1 to %d", n, set.Len(), set.Len())
	}
	return Subset(set, NewRandom(streamSample, seed).Perm(set.Len())[:n])
}

type subset struct {
	Set
	indices []int
}

func (s *subset) Len() int { return len(s.indices) }

func (s *subset) Read(i int, dst []float32) (int, error) {
	if i < 0 || i >= len(s.indices) {
		return 0, fmt.Errorf("data: example %d of %d", i, len(s.indices))
	}
	return s.Set.Read(s.indices[i], dst)
}

// pixels is a set of 8-bit images in memory, channels before rows before columns.
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

// unit[v] is v/255 rounded to float32, the value PyTorch's ToTensor gives a pixel.
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
		return fmt.Errorf("data: example %d: expected an index from 0 to %d", i, n-1)
	}
	if got != size {
		return fmt.Errorf("data: example %d: expected room for %d values, got %d", i, size, got)
	}
	return nil
}

func checkLabel(label int, classes []string) error {
	if label < 0 || label > math.MaxInt32 {
		return fmt.Errorf("label is %d, expected 0 or more", label)
	}
	if classes != nil && label >= len(classes) {
		return fmt.Errorf("label is %d, expected 0 to %d (%d classes)", label, len(classes)-1, len(classes))
	}
	return nil
}
