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

// Declare returns the parameters and statistics of a model that is fed float32 tensors of the given shape, in order of
// first use, and the type of its output. It builds throw-away passes in both modes and runs nothing.
func Declare(m Model, input graph.Shape) ([]Decl, graph.Type, error) {
	if m == nil {
		return nil, graph.Type{}, errors.New("nn: the Model is nil")
	}
	var out graph.Type
	shared := &declarations{index: map[string]int{}}
	for _, mode := range []Mode{Train, Infer} {
		p := NewPass(graph.NewBuilder(), mode)
		p.Key = p.Input("key", array.I64, graph.Of(2))
		p.declared = shared
		y := m.Forward(p, p.Input("x", array.F32, input))
		if err := p.Err(); err != nil {
			return nil, graph.Type{}, err
		}
		if out = p.Type(y); !out.DType.Valid() {
			return nil, graph.Type{}, fmt.Errorf("nn: Forward of %T returns no value of its pass", m)
		}
	}
	return shared.decls, out, nil
}

// Initial returns the initial value of every declaration, by name. A value is a function of seed and name alone, the same on
// every platform; adding a layer does not change the others.
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
		d.Init(random(seed, d.Name), dims, t.F32())
		values[d.Name] = t
	}
	return values, nil
}

// random returns the generator of one tensor's initial value.
func random(seed uint64, name string) *rand.Rand {
	key := binary.LittleEndian.AppendUint64(nil, seed)
	return rand.New(rand.NewChaCha8(sha256.Sum256(append(key, name...))))
}
