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
	symbolic, ok := c.(compress.GraphCompressor)
	if !ok {
		return nil
	}
	finite, err := scenes(o)
	if err != nil {
		return err
	}
	odd, err := notFinite(o)
	if err != nil {
		return err
	}
	for _, s := range append(finite, odd...) {
		host, err := call(ctx, c, s.weights)
		if err != nil {
			continue // only scenes that are not finite may be refused; other checks see to that
		}
		if err := compareForms(ctx, symbolic, s.weights, host); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// compareForms builds a program whose inputs are the weights, runs it, and compares it with the host's answer.
func compareForms(ctx context.Context, c compress.GraphCompressor, w []compress.Weight, host []compress.Compressed) error {
	want, err := compress.Apply(w, host)
	if err != nil {
		return err
	}
	b := graph.NewBuilder()
	in, syms := make([]array.Tensor, len(w)), make([]compress.WeightNode, len(w))
	for i, x := range clone(w) {
		in[i] = x.Data
		syms[i] = compress.WeightNode{Meta: x.Meta, W: b.Input(x.Name, x.Data.DType, graph.Of(x.Data.Dims...))}
	}
	built := c.Build(b, syms)
	if err := b.Err(); err != nil {
		return fmt.Errorf("graph form: %w", err)
	}
	if len(built) != len(w) {
		return fmt.Errorf("graph form answered for %d of %d weights", len(built), len(w))
	}
	expected := map[string]array.Tensor{}
	for i, x := range built {
		name := w[i].Name
		if x.Mask.None() != host[i].Mask.None() {
			return fmt.Errorf("tensor %s: the graph form has a mask: %v, the host form: %v", name, !x.Mask.None(), !host[i].Mask.None())
		}
		if x.Skipped != host[i].Skipped {
			return fmt.Errorf("tensor %s: the graph form is skipped for %q, the host form for %q", name, x.Skipped, host[i].Skipped)
		}
		if b.Output("value of "+name, x.Value); !x.Mask.None() {
			b.Output("mask of "+name, x.Mask)
			expected["mask of "+name] = host[i].Mask
		}
		expected["value of "+name] = want[i]
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
		if e := expected[port.Name]; got[i].DType != e.DType || !bytes.Equal(plain(got[i]), plain(e)) {
			return fmt.Errorf("%s: the graph form and the host form differ", port.Name)
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

// plain returns the bytes of t with one NaN for all, because a backend may pass NaN through arithmetic.
func plain(t array.Tensor) []byte {
	t = t.Clone()
	one(t.F32())
	one(t.F64())
	return t.Data
}

func one[F float32 | float64](data []F) {
	for i, x := range data {
		if x != x {
			data[i] = F(math.NaN())
		}
	}
}
