package compress_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/compress/compresstest"
	"github.com/compressaware/cram/sdk/graph"
)

// kernel returns the weight [out in] of a linear layer.
func kernel(name string, out, in int, data ...float32) compress.Weight {
	t, err := array.From(data, out, in)
	if err != nil {
		log.Fatal(err)
	}
	return compress.Weight{Meta: compress.Meta{Name: name, Role: graph.Kernel, Dims: t.Dims}, Data: t}
}

// show prints weights after a compressor.
func show(c compress.Compressor, w ...compress.Weight) {
	results, err := c.Compress(context.Background(), w)
	if err != nil {
		log.Fatal(err)
	}
	for i, r := range results {
		t, err := r.Apply(w[i])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(strings.TrimSpace(fmt.Sprint(w[i].Name, " ", t.F32(), " ", r.Skipped)))
	}
}

func ExampleTopK() {
	show(compress.TopK(0.5),
		kernel("fc1", 2, 2, 1, -8, 2, 7),
		kernel("fc2", 1, 4, 3, -6, 4, 5))
	// Output:
	// fc1 [0 -8 0 7]
	// fc2 [0 -6 0 5]
}

func ExampleUniform() {
	first, last := kernel("fc1", 1, 2, 1, 2), kernel("fc3", 1, 2, 1, 2)
	first.First, last.Last = true, true
	show(compress.Uniform(0.5), first, kernel("fc2", 2, 2, 1, -8, 2, 7), last)
	// Output:
	// fc1 [1 2] first kernel of the model
	// fc2 [0 -8 0 7]
	// fc3 [1 2] last kernel of the model
}

func ExampleNM() {
	show(compress.NM{N: 2, M: 4},
		kernel("fc1", 1, 8, 1, -8, 2, 7, 3, -6, 4, 5),
		kernel("fc2", 1, 3, 1, 2, 3))
	// Output:
	// fc1 [0 -8 0 7 0 -6 0 5]
	// fc2 [1 2 3] input channels 3 are not a multiple of 4
}

// Blocks of two output channels: the two elements of a column are kept or dropped together.
func ExampleBlock() {
	show(compress.Block{Size: 2, Sparsity: 0.5},
		kernel("fc1", 2, 2,
			5, 1,
			5, 1),
		kernel("fc2", 2, 2,
			0, 9,
			2, 0))
	// Output:
	// fc1 [5 0 5 0]
	// fc2 [0 9 0 0]
}

func ExampleIdentity() {
	show(compress.Identity{}, kernel("fc1", 1, 2, 1, 2))
	// Output: fc1 [1 2]
}

func ExampleOnly() {
	show(compress.Only(compress.TopK(0.5), "layer*.weight"),
		kernel("layer1.0.weight", 1, 4, 1, 2, 3, 4),
		kernel("fc.weight", 1, 2, 1, 2))
	// Output:
	// layer1.0.weight [0 0 3 4]
	// fc.weight [1 2] left out by only(layer*.weight)
}

func ExampleExcept() {
	show(compress.Except(compress.TopK(0.5), "fc.*"),
		kernel("layer1.0.weight", 1, 4, 1, 2, 3, 4),
		kernel("fc.weight", 1, 2, 1, 2))
	// Output:
	// layer1.0.weight [0 0 3 4]
	// fc.weight [1 2] left out by except(fc.*)
}

// A compressor that sets all weights below a limit to zero.
func ExampleFunc() {
	small := compress.Func("small", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		for i, x := range w {
			if !x.Prunable() {
				continue
			}
			var err error
			data := x.Data.F32()
			if out[i], err = compress.Mask(x.Dims, func(k int) bool { return data[k]*data[k] >= 4 }); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
	show(small, kernel("fc1", 1, 4, 1, -8, 2, 0.5))
	// Output: fc1 [0 -8 2 0]
}

// A compressor that computes with gorgonia tensors: it rounds the weights of the classifier to
// halves.
func ExampleWeight_Tensor() {
	round := compress.Func("round", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(w))
		for i, x := range w {
			if !strings.HasPrefix(x.Name, "fc") {
				continue
			}
			t, err := x.Tensor()
			if err != nil {
				return nil, err
			}
			half := func(v float32) float32 { return float32(int(2*v)) / 2 }
			if _, err := t.Apply(half, tensor.UseUnsafe()); err != nil { // in place: t is a copy
				return nil, err
			}
			if out[i], err = compress.Values(t); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
	show(round, kernel("fc1", 1, 4, 1.1, -8.7, 2, 0.5))
	// Output: fc1 [1 -8.5 2 0.5]
}

func ExampleParse() {
	for _, name := range []string{"topk:.90", "nm:2:4", "block4:0.8", "except(conv1.weight):uniform:0.8"} {
		c, err := compress.Parse(name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(c)
	}
	_, err := compress.Parse("nm:4:2")
	fmt.Println(err)
	// Output:
	// topk:0.9
	// nm:2:4
	// block4:0.8
	// except(conv1.weight):uniform:0.8
	// compress: "nm:4:2": want 1 ≤ N ≤ M, as in nm:2:4
}

func ExampleReport() {
	w := []compress.Weight{
		kernel("fc1.weight", 1, 8, 1, -8, 2, 7, 3, -6, 4, 5),
		kernel("fc2.weight", 1, 3, 1, 2, 3),
	}
	c := compress.NM{N: 2, M: 4}
	results, err := c.Compress(context.Background(), w)
	if err != nil {
		log.Fatal(err)
	}
	report, err := compress.NewReport(c, w, results)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.TrimSpace(report.String()))
	// Output:
	// nm:2:4      shape  weights  kept  sparsity
	// fc1.weight  1×8    8        4     50.00 %
	// fc2.weight  1×3    3        3     0.00 %    dense: input channels 3 are not a multiple of 4
	// total              11       7     36.36 %
}

// Settings that are out of range are reported before a weight is read.
func ExampleTopK_Check() {
	fmt.Println(compress.TopK(0.9).Check())
	fmt.Println(compress.TopK(90).Check())
	// Output:
	// <nil>
	// compress: topk:90: sparsity is 90, want 0 (keep all) to 1 (keep none)
}

// A result with a mask of another shape is refused.
func ExampleCheck() {
	w := []compress.Weight{kernel("fc1", 1, 4, 1, 2, 3, 4)}
	result, err := compress.Mask([]int{2, 2}, func(i int) bool { return i == 3 })
	if err != nil {
		log.Fatal(err)
	}
	err = compress.Check(compress.TopK(0.75), w, []compress.Compressed{result})
	var fault *compress.ResultError
	fmt.Println(errors.As(err, &fault), err)
	// Output: true compress: compressor topk:0.75: tensor fc1: mask: want bit[1 4], got bit[2 2]
}

func ExampleMask() {
	w := kernel("fc1", 1, 4, 1, 2, 3, 4)
	result, err := compress.Mask(w.Dims, func(i int) bool { return i%2 == 0 })
	if err != nil {
		log.Fatal(err)
	}
	t, err := result.Apply(w)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.F32())
	// Output: [1 0 3 0]
}

func ExampleValues() {
	result, err := compress.Values(tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float32{0.5, 1})))
	if err != nil {
		log.Fatal(err)
	}
	t, err := result.Apply(kernel("fc1", 1, 2, 0.4, 1.1))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.F32())
	// Output: [0.5 1]
}

// above keeps the weights with |w| above a threshold. By its method Build it is a GraphCompressor,
// so it runs inside the training step.
type above float32

func (t above) String() string { return fmt.Sprintf("above:%v", float32(t)) }

func (t above) Compress(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	out := make([]compress.Compressed, len(w))
	for i, x := range w {
		if !x.Prunable() {
			continue
		}
		var err error
		data := x.Data.F32()
		if out[i], err = compress.Mask(x.Dims, func(k int) bool { return max(data[k], -data[k]) > float32(t) }); err != nil {
			return nil, err
		}
	}
	return out, ctx.Err()
}

func (t above) Build(b *graph.Builder, w []compress.WeightNode) []compress.CompressedNode {
	out := make([]compress.CompressedNode, len(w))
	for i, x := range w {
		out[i].Value = x.W
		if x.Prunable() {
			size := b.Abs(x.W)
			out[i].Mask = b.Less(b.ConstLike(size, float64(t)), size)
			out[i].Value = b.Mask(x.W, out[i].Mask)
		}
	}
	return out
}

func ExampleGraphCompressor() {
	show(above(3), kernel("fc1", 1, 4, 1, -8, 3, 5))
	// Output: fc1 [0 -8 0 5]
}

func TestAbove(t *testing.T) { compresstest.Run(t, above(0.3), compresstest.Options{}) }
