package compresstest

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

func checkGraph(ctx context.Context, c compress.Compressor, o Options) error {
	built, ok := c.(compress.GraphCompressor)
	if !ok {
		return nil
	}
	all, err := finiteSamples(o)
	if err != nil {
		return err
	}
	other, err := otherSamples(o)
	if err != nil {
		return err
	}
	for _, s := range append(all, other...) {
		host, err := call(ctx, c, s.weights)
		if err != nil {
			continue // checkResults fails if the sample is finite
		}
		if err := compareGraph(ctx, built, s.weights, host); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// compareGraph builds a program whose inputs are the weights, runs it, and compares its outputs
// with the result of Compress.
func compareGraph(ctx context.Context, c compress.GraphCompressor, w []compress.Weight, host []compress.Compressed) error {
	b := graph.NewBuilder()
	in, nodes := make([]array.Tensor, len(w)), make([]compress.WeightNode, len(w))
	for i, x := range clone(w) {
		in[i] = x.Data
		nodes[i] = compress.WeightNode{Meta: x.Meta, W: b.Input(x.Name, x.Data.DType, graph.Of(x.Data.Dims...))}
	}
	built := c.Build(b, nodes)
	err := b.Err()
	if err != nil {
		return fmt.Errorf("method Build: %w", err)
	}
	if len(built) != len(w) {
		return fmt.Errorf("method Build: want a result for each of %d weights, got %d", len(w), len(built))
	}
	want := map[string]array.Tensor{} // by name of the output
	for i, x := range built {
		name := w[i].Name
		if x.Mask.None() != host[i].Mask.None() {
			return fmt.Errorf("tensor %s: Build has a mask: %v, Compress: %v", name, !x.Mask.None(), !host[i].Mask.None())
		}
		if x.Skipped != host[i].Skipped {
			return fmt.Errorf("tensor %s: Skipped is %q of Build and %q of Compress", name, x.Skipped, host[i].Skipped)
		}
		if b.Output("value of "+name, x.Value); !x.Mask.None() {
			b.Output("mask of "+name, x.Mask)
			want["mask of "+name] = host[i].Mask
		}
		if want["value of "+name], err = host[i].Apply(w[i]); err != nil {
			return err
		}
	}
	program, err := b.Program()
	if err != nil {
		return err
	}
	got, err := run(ctx, program, in)
	if err != nil {
		return err
	}
	for i, port := range program.Outputs {
		if e := want[port.Name]; got[i].DType != e.DType || !bytes.Equal(canonical(got[i]), canonical(e)) {
			return fmt.Errorf("%s: Build and Compress differ", port.Name)
		}
	}
	return nil
}

func run(ctx context.Context, p *graph.Program, in []array.Tensor) ([]array.Tensor, error) {
	backend := reference.New()
	defer backend.Close()
	session, err := backend.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	exec, err := session.Compile(ctx, p, backends.Options{})
	if err != nil {
		return nil, err
	}
	defer exec.Close()
	return exec.Run(ctx, in, nil)
}

// canonical returns the bytes of t with one bit pattern for all NaN, because arithmetic of a
// backend may change that pattern.
func canonical(t array.Tensor) []byte {
	t = t.Clone()
	replaceNaN(t.F32())
	replaceNaN(t.F64())
	return t.Data
}

func replaceNaN[F float32 | float64](data []F) {
	for i, x := range data {
		if x != x {
			data[i] = F(math.NaN())
		}
	}
}
