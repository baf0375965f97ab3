package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// Declare returns the parameters and statistics of a model in order of first use, and the type of
// its main output. Inputs are the fields that the model reads, the main one first; for one float32
// input of 3×32×32 that is graph.Floats("x", 3, 32, 32). Declare calls Forward once in each mode
// and runs nothing.
//
// A mistake in the model, such as a layer that does not take the shape of its input, is an error
// that names the layer and the line of the model.
func Declare(m Model, inputs ...graph.Field) ([]Decl, graph.Type, error) {
	switch {
	case m == nil:
		return nil, graph.Type{}, errors.New("nn: Declare: want a Model, got nil")
	case len(inputs) == 0:
		return nil, graph.Type{}, errors.New("nn: Declare: want at least one input, got none")
	}
	var out graph.Type
	shared := &declarations{index: map[string]int{}}
	for _, mode := range []Mode{Train, Infer} {
		b := graph.NewBuilder()
		p := NewPass(b, mode)
		p.declared = shared
		p.Inputs = map[string]graph.Node{}
		for _, f := range inputs {
			t := f.Batch()
			p.Inputs[f.Name] = b.Input(f.Name, t.DType, t.Shape)
		}
		p.Key = b.Input("key", array.I64, graph.Of(2))
		y := m.Forward(p, p.Inputs[inputs[0].Name])
		if err := p.Err(); err != nil {
			return nil, graph.Type{}, err
		}
		if out = p.Type(y); !out.DType.Valid() {
			return nil, graph.Type{}, fmt.Errorf("nn: Forward of %T: want a node of its pass, got another one or none", m)
		}
	}
	return shared.decls, out, nil
}

// Initial returns the initial value of every declaration, by name: Initial of the declaration, or
// the value that its Init computes. The random numbers of Init depend only on seed and name and are
// the same on every platform, so a new layer does not change the others.
//
// A declaration that is not F32, has no constant shape or has no Init is an error.
func Initial(decls []Decl, seed uint64) (map[string]array.Tensor, error) {
	values := make(map[string]array.Tensor, len(decls))
	for _, d := range decls {
		dims, fixed := d.Shape.Dims()
		if !fixed || d.DType != array.F32 || d.Init == nil {
			return nil, fmt.Errorf("nn: %s: want f32 of constant shape with an Init, got %v", d.Name, d.Type)
		}
		t, err := array.New(d.DType, dims...)
		if err != nil {
			return nil, fmt.Errorf("nn: %s: %w", d.Name, err)
		}
		if d.Initial.None() {
			d.Init(random(seed, d.Name), dims, t.F32())
		} else {
			copy(t.Data, d.Initial.Data)
		}
		values[d.Name] = t
	}
	return values, nil
}

// random returns the generator for the initial value of the tensor of this name.
func random(seed uint64, name string) *rand.Rand {
	key := binary.LittleEndian.AppendUint64(nil, seed)
	return rand.New(rand.NewChaCha8(sha256.Sum256(append(key, name...))))
}
