package compresstest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// A sample is a list of weights under one condition. Names and roles are the same in all samples,
// so that a compressor that selects by name finds its weights in each.
type sample struct {
	name    string
	weights []compress.Weight
}

var parameters = []struct {
	name string
	role graph.Role
	dims []int
}{
	{"embedding.weight", graph.Embedding, []int{7, 8}},
	{"conv1.weight", graph.Kernel, []int{8, 3, 3, 3}},
	{"bn1.weight", graph.Norm, []int{8}},
	{"bn1.bias", graph.Norm, []int{8}},
	{"layer1.0.conv1.weight", graph.Kernel, []int{8, 8, 3, 3}},
	{"layer1.0.conv2.weight", graph.Kernel, []int{12, 8, 1, 1}},
	{"layer2.0.conv1.weight", graph.Kernel, []int{6, 12, 2, 3}},
	{"fc.weight", graph.Kernel, []int{12, 16}},
	{"fc.bias", graph.Bias, []int{12}},
}

// finiteSamples returns the samples without NaN and infinities.
func finiteSamples(o Options) ([]sample, error) {
	normal := func(r *rand.Rand) float64 { return r.NormFloat64() }
	return draw(o, []condition{
		{"ordinary weights", 1, false, normal},
		{"other ordinary weights", 2, false, func(r *rand.Rand) float64 { return 0.05 * r.NormFloat64() }},
		{"dimensions of one", 3, true, normal},
		{"many ties", 4, false, func(r *rand.Rand) float64 { return float64(r.IntN(5)-2) / 4 }},
		{"all equal", 5, false, func(*rand.Rand) float64 { return -0.5 }},
		{"all zero, of both signs", 6, false, func(r *rand.Rand) float64 { return math.Copysign(0, r.Float64()-0.5) }},
		{"very large and very small", 7, false, func(r *rand.Rand) float64 { return math.Ldexp(r.Float64()-0.5, r.IntN(250)-130) }},
	})
}

// otherSamples returns the samples with NaN and infinities.
func otherSamples(o Options) ([]sample, error) {
	some := func(odd ...float64) func(r *rand.Rand) float64 {
		return func(r *rand.Rand) float64 {
			if r.IntN(5) == 0 {
				return odd[r.IntN(len(odd))]
			}
			return r.NormFloat64()
		}
	}
	o.Weights = nil
	return draw(o, []condition{
		{"infinities", 8, false, some(math.Inf(1), math.Inf(-1))},
		{"NaN", 9, false, some(math.NaN(), math.Copysign(math.NaN(), -1))},
		{"NaN and infinities", 10, false, some(math.NaN(), math.Inf(1), math.Inf(-1))},
	})
}

// A condition describes the values of a sample.
type condition struct {
	name  string
	seed  uint64
	tiny  bool // all dimensions are 1
	value func(r *rand.Rand) float64
}

// draw returns a sample for each condition, and Options.Weights if there are any.
func draw(o Options, conditions []condition) ([]sample, error) {
	d := o.DType
	switch d {
	case array.InvalidDType:
		d = array.F32
	case array.F32, array.F64:
	default:
		return nil, fmt.Errorf("compresstest: Options.DType is %v, want f32 or f64", d)
	}
	var out []sample
	for _, p := range conditions {
		s, r := sample{name: p.name}, rand.New(rand.NewPCG(p.seed, 0))
		for _, x := range parameters {
			dims := slices.Clone(x.dims)
			if p.tiny {
				dims = slices.Repeat([]int{1}, len(dims))
			}
			t, err := array.New(d, dims...)
			if err != nil {
				return nil, err
			}
			for i := range t.Len() {
				if v := p.value(r); d == array.F64 {
					t.F64()[i] = v
				} else {
					t.F32()[i] = float32(v)
				}
			}
			meta := compress.Meta{Name: x.name, Role: x.role, Dims: dims, First: x.name == "conv1.weight", Last: x.name == "fc.weight"}
			s.weights = append(s.weights, compress.Weight{Meta: meta, Data: t})
		}
		out = append(out, s)
	}
	if o.Weights != nil {
		out = append(out, sample{"Options.Weights", o.Weights})
	}
	return out, nil
}

// clone returns a deep copy of weights.
func clone(w []compress.Weight) []compress.Weight {
	out := slices.Clone(w)
	for i := range out {
		out[i].Dims = slices.Clone(w[i].Dims)
		out[i].Data = w[i].Data.Clone()
	}
	return out
}
