package compresstest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/compress/internal/promise"
	"github.com/compressaware/cram/sdk/graph"
)

// broken is topk:0.5 under another name until a field breaks one thing.
type broken struct {
	name   string
	before func(w []compress.Weight)
	after  func(w []compress.Weight, out []compress.Compressed) []compress.Compressed
	deaf   bool // ignores cancellation
}

func (c broken) String() string { return c.name }

func (c broken) Compress(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	if c.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	if c.before != nil {
		c.before(w)
	}
	out, err := compress.TopK(0.5).Compress(ctx, w)
	if err == nil && c.after != nil {
		out = c.after(w, out)
	}
	return out, err
}

// kernel is the index of a convolution in every sample, of 576 or 1 elements; norm the index of a
// parameter that is not prunable.
const (
	norm   = 2
	kernel = 4
)

func values(w compress.Weight, f func(i int, x float32) float32) array.Tensor {
	t := w.Data.Clone()
	for i, x := range t.F32() {
		t.F32()[i] = f(i, x)
	}
	return t
}

func tensor(d array.DType, dims ...int) array.Tensor {
	t, err := array.New(d, dims...)
	if err != nil {
		panic(err)
	}
	return t
}

func TestSuiteCatches(t *testing.T) {
	on := func(i int, f func(w compress.Weight, c *compress.Compressed)) broken {
		return broken{name: "broken", after: func(w []compress.Weight, out []compress.Compressed) []compress.Compressed {
			if len(out) > 0 {
				f(w[i], &out[i])
			}
			return out
		}}
	}
	var calls atomic.Int64
	reused := tensor(array.Bit, 8, 8, 3, 3)
	for _, c := range []struct {
		what  string
		c     compress.Compressor
		o     Options
		check string // the check that must fail
		says  string // what its error must mention
	}{
		{"an empty name", broken{}, Options{}, "name", "String()"},
		{"a name with a space", broken{name: "my op"}, Options{}, "name", "white space"},
		{"a name that changes", renamed{broken{}, &calls}, Options{}, "name", "and then"},
		{"a name that is not canonical", broken{name: "topk:0.50"}, Options{}, "name", "topk:0.5"},
		{"the name of another compressor", broken{name: "topk:0.4"}, Options{}, "name", "another compressor"},
		{"a short result", broken{name: "broken", after: func(w []compress.Weight, out []compress.Compressed) []compress.Compressed {
			return out[:len(out)/2]
		}}, Options{}, "valid result", "want 9 results"},
		{"a mask on a norm", on(norm, func(w compress.Weight, c *compress.Compressed) { c.Mask = tensor(array.Bit, w.Dims...) }), Options{}, "valid result", "bn1.weight: want a mask only"},
		{"a mask of bytes", on(kernel, func(w compress.Weight, c *compress.Compressed) { c.Mask = tensor(array.I8, w.Dims...) }), Options{}, "valid result", "want bit"},
		{"a mask of another shape", on(kernel, func(w compress.Weight, c *compress.Compressed) { c.Mask = tensor(array.Bit, 5) }), Options{}, "valid result", "got bit[5]"},
		{"a mask that is too short", on(kernel, func(w compress.Weight, c *compress.Compressed) { c.Mask.Data = c.Mask.Data[1:] }), Options{}, "valid result", "bytes"},
		{"bits behind the end", on(7, func(w compress.Weight, c *compress.Compressed) {
			if w.Data.Len() == 1 {
				c.Mask.Data[0] |= 0x80
			}
		}), Options{}, "valid result", "behind the last element"},
		{"values of another type", on(norm, func(w compress.Weight, c *compress.Compressed) { c.Values = tensor(array.F64, w.Dims...) }), Options{}, "valid result", "want f32"},
		{"values of another shape", on(norm, func(w compress.Weight, c *compress.Compressed) { c.Values = tensor(array.F32, 3) }), Options{}, "valid result", "got f32[3]"},
		{"NaN", on(norm, func(w compress.Weight, c *compress.Compressed) {
			c.Values = values(w, func(int, float32) float32 { return float32(math.NaN()) })
		}), Options{}, "valid result", "is NaN"},
		{"infinity", on(norm, func(w compress.Weight, c *compress.Compressed) {
			c.Values = values(w, func(int, float32) float32 { return float32(math.Inf(-1)) })
		}), Options{}, "valid result", "is -Inf"},
		{"values outside the mask", on(kernel, func(w compress.Weight, c *compress.Compressed) {
			c.Values = values(w, func(int, float32) float32 { return 1 })
		}), Options{}, "valid result", "the mask drops it"},
		{"a mask and a reason for none", on(kernel, func(w compress.Weight, c *compress.Compressed) { c.Skipped = "too small" }), Options{}, "valid result", "got both"},
		{"a panic", on(kernel, func(compress.Weight, *compress.Compressed) { panic("boom") }), Options{}, "valid result", "boom"},
		{"an error", compress.Func("broken", func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
			return nil, errors.New("no luck")
		}), Options{}, "valid result", "ordinary weights: no luck"},
		{"a panic on no weights", broken{name: "broken", before: func(w []compress.Weight) { _ = w[0] }}, Options{}, "no weights", "panic"},
		{"a result for no weights", broken{name: "broken", after: func(w []compress.Weight, out []compress.Compressed) []compress.Compressed {
			return make([]compress.Compressed, max(len(out), 1))
		}}, Options{}, "no weights", "want 0 results"},
		{"a changed input", broken{name: "broken", before: func(w []compress.Weight) {
			if len(w) > 0 {
				w[kernel].Data.F32()[0] = 0.125
			}
		}}, Options{}, "change its input", "layer1.0.conv1.weight was changed"},
		{"changed dimensions", broken{name: "broken", after: func(w []compress.Weight, out []compress.Compressed) []compress.Compressed {
			if len(w) > 0 {
				w[norm].Dims[0] = 99
			}
			return out
		}}, Options{}, "change its input", "bn1.weight was changed"},
		{"a result that depends on the call", on(norm, func(w compress.Weight, c *compress.Compressed) {
			n := float32(calls.Add(1))
			c.Values = values(w, func(int, float32) float32 { return n })
		}), Options{}, "same result again", "bn1.weight: values differ"},
		{"a reason that depends on the call", on(norm, func(w compress.Weight, c *compress.Compressed) { c.Skipped = fmt.Sprint(calls.Add(1)) }), Options{}, "same result again", "skipped differs"},
		{"a buffer used again", on(kernel, func(w compress.Weight, c *compress.Compressed) {
			if w.Data.Len() == reused.Len() {
				copy(reused.Data, c.Mask.Data)
				c.Mask = reused
			}
		}), Options{}, "change a returned", "a later call changed the result"},
		{"NaN spread by NaN", broken{name: "broken", after: func(w []compress.Weight, out []compress.Compressed) []compress.Compressed {
			for i, x := range w {
				if x.Role == graph.Norm {
					var sum float32
					for _, v := range x.Data.F32() {
						sum += v
					}
					out[i].Values = values(x, func(_ int, v float32) float32 { return v + 0*sum })
				}
			}
			return out
		}}, Options{}, "NaN and inf", "is NaN"},
		{"a panic on NaN", broken{name: "broken", before: func(w []compress.Weight) {
			for _, x := range w {
				if slices.ContainsFunc(x.Data.F32(), func(v float32) bool { return v != v }) {
					panic("NaN")
				}
			}
		}}, Options{}, "NaN and inf", "panic"},
		{"a result that depends on concurrent calls", &overlapping{}, Options{}, "concurrent", "differ"},
		{"deaf to cancellation", broken{name: "broken", deaf: true}, Options{}, "canceled", "want context.Canceled"},
		{"five of eight", compress.NM{N: 5, M: 8}, Options{Promise: promise.Groups(2, 4, 1)}, "promise", "promised at most 2"},
		{"groups that do not fit", compress.NM{N: 1, M: 3}, Options{Promise: promise.Groups(2, 4, 1)}, "promise", "do not fit"},
		{"single zeros", compress.Only(compress.TopK(0.5), "fc.weight"), Options{Promise: promise.Blocks(2)}, "promise", "kept in part"},
		{"blocks that do not fit", compress.Only(compress.Block{Size: 2, Sparsity: .5}, "layer2.*"), Options{Promise: promise.Blocks(4)}, "promise", "do not fit"},
		{"no reason", compress.Identity{}, Options{Promise: promise.Blocks(4)}, "promise", "Skipped"},
		{"no reason", compress.Identity{}, Options{Promise: promise.Groups(2, 4, 1)}, "promise", "Skipped"},
		{"additional weights", compress.Only(compress.TopK(.5), "conv1.weight"), Options{Weights: []compress.Weight{{
			Meta: compress.Meta{Name: "mine", Role: graph.Kernel, Dims: []int{2, 2}}, Data: tensor(array.F32, 2, 2),
		}}}, "valid result", "Options.Weights"},
		{"a type that is no float", compress.TopK(.5), Options{DType: array.I32}, "valid result", "Options.DType"},
	} {
		err := find(t, c.check).Run(t.Context(), c.c, c.o)
		if err == nil {
			t.Errorf("%s: check %q passes", c.what, c.check)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: check %q: error %q does not mention %q", c.what, c.check, err, c.says)
		}
	}
}

func find(t *testing.T, part string) Check {
	t.Helper()
	for _, c := range Checks() {
		if strings.Contains(c.Name, part) {
			return c
		}
	}
	t.Fatalf("no check is named %q", part)
	return Check{}
}

// renamed counts the calls of String.
type renamed struct {
	broken
	calls *atomic.Int64
}

func (r renamed) String() string { return fmt.Sprint("broken", r.calls.Add(1)) }

// overlapping returns zero results for a call that overlaps another.
type overlapping struct{ running atomic.Int64 }

func (*overlapping) String() string { return "overlapping" }

func (o *overlapping) Compress(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	defer o.running.Add(-1)
	o.running.Add(1)
	out, err := compress.TopK(0.5).Compress(ctx, w)
	for range 50 {
		// time for the others to start
		if _, err := compress.TopK(0.5).Compress(ctx, w); err != nil {
			return nil, err
		}
	}
	if o.running.Load() > 1 {
		clear(out)
	}
	return out, err
}

// twoFaced has an implementation of Build that differs from Compress.
type twoFaced struct {
	broken
	build func(b *graph.Builder, w []compress.WeightNode) []compress.CompressedNode
}

func (c twoFaced) Build(b *graph.Builder, w []compress.WeightNode) []compress.CompressedNode {
	return c.build(b, w)
}

func TestSuiteCatchesBuildThatDiffers(t *testing.T) {
	half := compress.TopK(0.5)
	for _, c := range []struct {
		what  string
		says  string
		build func(b *graph.Builder, w []compress.WeightNode) []compress.CompressedNode
	}{
		{"the right one", "", half.Build},
		{"one element more", "Build and Compress differ", compress.TopK(0.499).Build},
		{"a mask missing", "has a mask", compress.Except(half, "fc.weight").(compress.GraphCompressor).Build},
		{"a short result", "want a result for each of 9 weights, got 8", func(b *graph.Builder, w []compress.WeightNode) []compress.CompressedNode { return half.Build(b, w)[1:] }},
		{"a mistake", "want 0", compress.TopK(2).Build},
		{"a reason missing", "Skipped is", func(b *graph.Builder, w []compress.WeightNode) []compress.CompressedNode {
			out := half.Build(b, w)
			out[0].Skipped = "none"
			return out
		}},
		{"a value not masked", "value of conv1.weight", func(b *graph.Builder, w []compress.WeightNode) []compress.CompressedNode {
			out := half.Build(b, w)
			out[1].Value = w[1].W
			return out
		}},
	} {
		err := find(t, "Build agrees").Run(t.Context(), twoFaced{broken{name: "twofaced"}, c.build}, Options{})
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: got %v, want an error with %q", c.what, err, c.says)
		}
	}
}
