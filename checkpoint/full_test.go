package checkpoint

import (
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// full returns a file of a few kilobytes that uses every field of version 2.
func full(t testing.TB) *File {
	t.Helper()
	text := func(s string) array.Value {
		return array.Value{DType: array.I8, Dims: []int{len(s)}, Values: []byte(s)}
	}
	rows := func(q *array.Quantization) array.Value { // 4 rows of 8
		x, err := array.New(array.I8, 4, 8)
		if err != nil {
			t.Fatal(err)
		}
		for i := range x.Data {
			x.Data[i] = byte(i*37 | 1)
		}
		v := array.DenseValue(x)
		v.Quantization = q
		return v
	}
	each := &array.Quantization{Axis: 0, Scale: []float32{.5, .25, .125, 1}, Zero: make([]int32, 4)}
	sparse := func() array.Value {
		x := decoded(t, rows(nil)).Clone()
		clear(x.Data[8:24])
		v, err := x.Encode(array.Bitmask)
		if err != nil {
			t.Fatal(err)
		}
		v.Quantization = each
		return v
	}
	weight := random(t, 2, 4, 8)
	levels := []Level{
		{Name: "dense", Tensors: map[string]array.Value{"fc.weight": array.DenseValue(weight)}},
		{Name: "topk:0.5", Tensors: map[string]array.Value{"fc.weight": topK(t, weight, .5)}},
		{Name: "int8", Tensors: map[string]array.Value{"fc.weight": rows(each)},
			Programs:    map[string]*graph.Program{"infer": twoHeads(t, true)},
			Activations: map[string]array.Quantization{"fc": {Axis: -1, Scale: []float32{.0625}, Zero: []int32{-128}}, "x": {Axis: 1, Scale: []float32{1, 2}, Zero: []int32{127, 0}}},
			Notes:       map[string]string{"fc.weight": "a scale for each output"}},
		{Name: "int8 asymmetric", Tensors: map[string]array.Value{"fc.weight": rows(&array.Quantization{Axis: -1, Scale: []float32{.75}, Zero: []int32{-3}})},
			Programs: map[string]*graph.Program{"infer": twoHeads(t, true)}},
		{Name: "int8 topk:0.5", Tensors: map[string]array.Value{"fc.weight": sparse()}, Programs: map[string]*graph.Program{"infer": twoHeads(t, false)}},
	}
	return &File{
		Info: Info{
			Model: "two heads", Recipe: "cram+ rho=0.2", Data: "pairs", Seed: 1<<64 - 1, Versions: map[string]string{"cram": "test"},
			Inputs: []Port{
				{Name: "x", DType: array.F32, Shape: graph.Batch(8), Mean: []float32{.5}, Std: []float32{.25}},
				{Name: "tokens", DType: array.I32, Shape: graph.Shape{graph.Sym("N"), {C: 2, Sym: "T"}}},
			},
			Outputs: []Port{
				{Name: "logits", DType: array.F32, Shape: graph.Batch(4), Classes: []string{"cat", "dog", "été", "木"}},
				{Name: "lengths", DType: array.F32, Shape: graph.Shape{graph.Sym("N"), {C: 2, Sym: "T"}}, Mean: []float32{1}, Std: []float32{2}},
			},
			Steps: []Step{
				{Kind: "image", Port: "x", Settings: map[string]string{"resize": "8", "crop": "center"}},
				{Kind: "wordpiece", Port: "tokens", Settings: map[string]string{"lower": "true"},
					Tensors: map[string]array.Value{"vocabulary": text("[PAD]\n[UNK]\ncat\n##s\n"), "table": rows(each)}},
				{Kind: "unknown", Port: "logits"},
			},
			Extra: map[string]string{"note": "two\nlines"},
		},
		Programs: map[string]*graph.Program{"infer": twoHeads(t, false), "reset": tinyProgram(t), "train": twoHeads(t, false)},
		Levels:   levels,
		State: &State{Ints: map[string]int64{"step": -1}, Tensors: map[string]array.Value{
			"fc.weight.momentum": rows(each), "mask": array.DenseValue(random(t, 3, 2))}},
	}
}

// twoHeads returns a program of two inputs and two outputs, in one of two ways to compute them.
func twoHeads(t testing.TB, otherWay bool) *graph.Program {
	t.Helper()
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(8))
	tokens := b.Input("tokens", array.I32, graph.Shape{graph.Sym("N"), {C: 2, Sym: "T"}})
	w := b.Slot(graph.Slot{Name: "fc.weight", Role: graph.Kernel, Type: graph.Type{DType: array.F32, Shape: graph.Of(4, 8)}})
	y := b.MatMul(x, w, false, true)
	if otherWay {
		y = b.Neg(b.Neg(y))
	}
	b.Output("logits", y)
	b.Output("lengths", b.Cast(tokens, array.F32))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
