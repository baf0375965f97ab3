package compress_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/tensor"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

var background = context.Background()

func weight(t testing.TB, name string, role graph.Role, data []float32, dims ...int) compress.Weight {
	t.Helper()
	x, err := array.From(data, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return compress.Weight{Meta: compress.Meta{Name: name, Role: role, Dims: dims}, Data: x}
}

func ramp(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(i+1) * float32(1-i%2*2)
	}
	return out
}

func TestErrorsNameTheCause(t *testing.T) {
	good := weight(t, "a.weight", graph.Kernel, ramp(16), 4, 4)
	short := good
	short.Data.Data = short.Data.Data[:8]
	other := good
	other.Dims = []int{2, 8}
	integer := good
	integer.Data.DType = array.I32
	wide, err := array.New(array.F64, 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	double := compress.Weight{Meta: compress.Meta{Name: "b.weight", Role: graph.Kernel, Dims: []int{4, 4}}, Data: wide}
	for _, c := range []struct {
		compressor compress.Compressor
		w          []compress.Weight
		says       string
	}{
		{compress.TopK(-0.1), nil, "sparsity is -0.1"},
		{compress.TopK(math.NaN()), nil, "sparsity is NaN"},
		{compress.Uniform(1.1), nil, "sparsity is 1.1"},
		{compress.NM{}, []compress.Weight{good}, "1 ≤ N ≤ M"},
		{compress.NM{N: 5, M: 4}, nil, "1 ≤ N ≤ M"},
		{compress.Block{Size: -4}, nil, "size is -4"},
		{compress.Block{Sparsity: 2}, nil, "sparsity is 2"},
		{compress.TopK(.5), []compress.Weight{short}, `"a.weight"`},
		{compress.TopK(.5), []compress.Weight{other}, "[2 8]"},
		{compress.NM{N: 2, M: 4}, []compress.Weight{integer}, "got i32"},
		{compress.TopK(.5), []compress.Weight{good, double}, "want one type"},
		{compress.Only(compress.TopK(.5)), nil, "no patterns"},
		{compress.Only(compress.TopK(.5), "a.bias"), []compress.Weight{good}, `"a.bias" matches none`},
		{compress.Except(compress.TopK(.5), "[a"), []compress.Weight{good}, `malformed pattern "[a"`},
		{compress.Only(compress.TopK(.5), "a,b"), []compress.Weight{good}, `malformed pattern "a,b"`},
		{compress.Only(nil, "a"), []compress.Weight{good}, "no compressor"},
		{compress.Only(compress.Func("short", func(context.Context, []compress.Weight) ([]compress.Compressed, error) { return nil, nil }), "a*"),
			[]compress.Weight{good}, "compressor short: want 1 results"},
		{compress.Func("", nil), nil, "want a name"},
		{compress.Func("nothing", nil), nil, "a function"},
		{compress.Func("topk:0.9", compress.TopK(.5).Compress), []compress.Weight{good}, "the built-in compressor topk:0.9"},
		{compress.Func("topk:.90", compress.TopK(.5).Compress), []compress.Weight{good}, "the built-in compressor topk:0.9"},
		{compress.Func("only(a):dense", compress.TopK(.5).Compress), []compress.Weight{good}, "the built-in compressor only(a):dense"},
		{compress.Func("my prune", compress.TopK(.5).Compress), []compress.Weight{good}, "without white space"},
		{compress.Func("my\u00a0prune", compress.TopK(.5).Compress), []compress.Weight{good}, "without white space"},
	} {
		out, err := c.compressor.Compress(background, c.w)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: error %v does not mention %q", c.compressor, err, c.says)
		}
		if out != nil {
			t.Errorf("%v: returns a result in addition to the error", c.compressor)
		}
		built, ok := c.compressor.(compress.GraphCompressor)
		if !ok || strings.Contains(c.says, "weight") || strings.Contains(c.says, "[2 8]") || strings.Contains(c.says, "i32") || strings.Contains(c.says, "one type") {
			continue // the builder has its own checks of types and shapes
		}
		b := graph.NewBuilder()
		nodes := make([]compress.WeightNode, len(c.w))
		for i, w := range c.w {
			nodes[i] = compress.WeightNode{Meta: w.Meta, W: b.Input(w.Name, array.F32, graph.Of(w.Dims...))}
		}
		if n := len(built.Build(b, nodes)); n != len(nodes) {
			t.Errorf("%v: Build returns %d results for %d weights", c.compressor, n, len(nodes))
		}
		if b.Err() == nil || !strings.Contains(b.Err().Error(), c.says) {
			t.Errorf("%v: Build's error %v does not mention %q", c.compressor, b.Err(), c.says)
		}
	}
}

// countdown is a context that is canceled after a number of calls of Err.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestCancellationAnywhere(t *testing.T) {
	var w []compress.Weight
	for _, name := range []string{"a", "b", "c"} {
		w = append(w, weight(t, name, graph.Kernel, ramp(64), 8, 8))
	}
	for _, c := range []compress.Compressor{compress.TopK(.5), compress.Uniform(.5), compress.NM{N: 2, M: 4}, compress.Block{Sparsity: .5}, compress.Only(compress.TopK(.5), "*")} {
		looks := 0
		for ; ; looks++ {
			out, err := c.Compress(&countdown{background, looks}, w)
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || out != nil {
				t.Errorf("%v, cancelled after %d looks: got %v and error %v", c, looks, out, err)
			}
		}
		if looks < 3 {
			t.Errorf("%v looks at its context %d times for 3 weights", c, looks)
		}
	}
}

func TestSkipped(t *testing.T) {
	conv1 := weight(t, "conv1.weight", graph.Kernel, ramp(6*3*4), 6, 3, 2, 2)
	conv1.First = true
	conv2 := weight(t, "conv2.weight", graph.Kernel, ramp(8*8), 8, 8)
	table := weight(t, "embedding.weight", graph.Embedding, ramp(12*8), 12, 8)
	bias := weight(t, "fc.bias", graph.Bias, ramp(8), 8)
	fc := weight(t, "fc.weight", graph.Kernel, ramp(8*8), 8, 8)
	fc.Last = true
	w := []compress.Weight{conv1, conv2, table, bias, fc}
	for _, c := range []struct {
		compressor compress.Compressor
		want       []string
	}{
		{compress.TopK(.5), []string{"", "", "", "", ""}},
		{compress.Uniform(.5), []string{"first kernel of the model", "", "", "", "last kernel of the model"}},
		{compress.NM{N: 2, M: 4}, []string{"input channels 3 are not a multiple of 4", "", "", "", ""}},
		{compress.Block{Sparsity: .5}, []string{"output channels 6 are not a multiple of 4", "", "blocks are for kernels", "", ""}},
		{compress.Only(compress.NM{N: 2, M: 4}, "c*"), []string{"input channels 3 are not a multiple of 4", "", "left out by only(c*)", "", "left out by only(c*)"}},
		{compress.Except(compress.TopK(.5), "fc.*", "conv1.*"), []string{"left out by except(fc.*,conv1.*)", "", "", "", "left out by except(fc.*,conv1.*)"}},
	} {
		out, err := c.compressor.Compress(background, w)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, x := range out {
			got = append(got, x.Skipped)
			if masked := !x.Mask.None(); masked != (w[i].Prunable() && x.Skipped == "") {
				t.Errorf("%v: %s: masked is %v, skipped %q", c.compressor, w[i].Name, masked, x.Skipped)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: skipped (-want +got):\n%s", c.compressor, diff)
		}
	}
}

func TestOnlyRanksAmongTheChosen(t *testing.T) {
	w := []compress.Weight{weight(t, "small", graph.Kernel, []float32{1, 2, 3, 4}, 2, 2), weight(t, "large", graph.Kernel, []float32{10, 20, 30, 40}, 2, 2)}
	out, err := compress.Only(compress.TopK(.5), "small").Compress(background, w)
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Mask.Data[0] != 0b1100 || !out[1].Mask.None() {
		t.Errorf("only(small):topk:0.5 keeps %v of small, %v of large; want the last two of small, no mask of large", out[0].Mask, out[1].Mask)
	}
	if _, ok := compress.Only(compress.Func("f", nil), "a").(compress.GraphCompressor); ok {
		t.Error("a selection of a compressor without Build is a GraphCompressor")
	}
}

func TestApply(t *testing.T) {
	inf := float32(math.Inf(1))
	w := []compress.Weight{
		weight(t, "masked", graph.Kernel, []float32{1, -2, inf, -4, 5, -6, 7, -8, 9}, 3, 3),
		weight(t, "replaced", graph.Bias, []float32{1, 2}, 2),
		weight(t, "both", graph.Kernel, []float32{1, 2}, 1, 2),
		weight(t, "left", graph.Norm, []float32{3}, 1),
	}
	mask := func(dims []int, at ...int) array.Tensor {
		c, err := compress.Mask(dims, func(i int) bool { return slices.Contains(at, i) })
		if err != nil {
			t.Fatal(err)
		}
		return c.Mask
	}
	out := []compress.Compressed{
		{Mask: mask([]int{3, 3}, 0, 1, 8)},
		{Values: weight(t, "", 0, []float32{8, 9}, 2).Data},
		{Values: weight(t, "", 0, []float32{0, 5}, 1, 2).Data, Mask: mask([]int{1, 2}, 1)},
		{},
	}
	for i, want := range [][]float32{{1, -2, 0, 0, 0, 0, 0, 0, 9}, {8, 9}, {0, 5}, {3}} {
		got, err := out[i].Apply(w[i])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.F32()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", w[i].Name, diff)
		}
		if i == 0 && math.Signbit(float64(got.F32()[3])) {
			t.Error("a dropped negative weight is -0, want +0")
		}
	}

	var fault *compress.ResultError
	if err := compress.Check(compress.TopK(.5), w, out[:2]); !errors.As(err, &fault) {
		t.Errorf("a short result: got %v, want a ResultError", err)
	}
	out[1].Values.F32()[0] = inf
	if _, err := out[1].Apply(w[1]); !errors.As(err, &fault) || fault.Tensor != "replaced" {
		t.Errorf("an infinity: got %v, want a ResultError about %q", err, "replaced")
	}
	if err := compress.Check(compress.TopK(.5), w, out); !errors.As(err, &fault) || fault.Compressor != "topk:0.5" {
		t.Errorf("an infinity: got %v, want a ResultError about topk:0.5", err)
	}
}

func TestMalformedWeightsAreErrors(t *testing.T) {
	short := weight(t, "w", graph.Kernel, ramp(16), 4, 4)
	out := []compress.Compressed{{Values: short.Data}}
	short.Data.Data = short.Data.Data[:8]
	other := weight(t, "w", graph.Kernel, ramp(16), 4, 4)
	other.Dims = []int{2, 8}
	for _, w := range []compress.Weight{short, other, {}} {
		if err := compress.Check(compress.Identity{}, []compress.Weight{w}, out); err == nil || !strings.Contains(err.Error(), "the weight itself") {
			t.Errorf("Check of %v%v: %v", w.Dims, w.Data.Dims, err)
		}
		if _, err := out[0].Apply(w); err == nil {
			t.Errorf("Apply to %v%v: want an error", w.Dims, w.Data.Dims)
		}
	}
}

func TestCheckAllowsNaNOfTheWeight(t *testing.T) {
	nan := float32(math.NaN())
	w := []compress.Weight{weight(t, "w", graph.Kernel, []float32{nan, 1}, 1, 2)}
	out := []compress.Compressed{{Values: weight(t, "", 0, []float32{nan, 2}, 1, 2).Data}}
	if err := compress.Check(compress.Identity{}, w, out); err != nil {
		t.Errorf("NaN where the weight is NaN: %v", err)
	}
	double, err := array.From([]float64{1, math.Inf(-1)}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := array.From([]float64{1, 2}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	w[0].Data, out[0].Values = whole, double
	if err := compress.Check(compress.Identity{}, w, out); err == nil || !strings.Contains(err.Error(), "element 1 was 2 and is -Inf") {
		t.Errorf("-Inf in f64 values: %v", err)
	}
}

func TestTensorAndValues(t *testing.T) {
	w := weight(t, "w", graph.Kernel, []float32{1, 2, 3, 4, 5, 6}, 2, 3)
	x, err := w.Tensor()
	if err != nil {
		t.Fatal(err)
	}
	x.Float32s()[0] = 99
	if w.Data.F32()[0] != 1 {
		t.Error("Tensor shares the weight's memory; want a copy")
	}
	if err := x.T(); err != nil { // Values must honour strides
		t.Fatal(err)
	}
	c, err := compress.Values(x)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float32{99, 4, 2, 5, 3, 6}, c.Values.F32()); diff != "" || !slices.Equal(c.Values.Dims, []int{3, 2}) {
		t.Errorf("Values of a transpose: %v (-want +got):\n%s", c.Values.Dims, diff)
	}
	w.Data.DType = array.I32
	if _, err := w.Tensor(); err == nil || !strings.Contains(err.Error(), "f32") {
		t.Errorf("Tensor of i32: %v", err)
	}
	if _, err := compress.Values(tensor.New(tensor.WithBacking([]float64{1}))); err == nil {
		t.Error("Values of float64: want an error")
	}
	if _, err := compress.Mask([]int{2}, nil); err == nil {
		t.Error("a mask by no function: want an error")
	}
	if _, err := compress.Mask([]int{0}, func(int) bool { return true }); err == nil {
		t.Error("Mask of no elements: want an error")
	}
}

func TestReport(t *testing.T) {
	w := []compress.Weight{
		weight(t, "a", graph.Kernel, ramp(12), 2, 6),
		weight(t, "b", graph.Kernel, ramp(16), 4, 4),
		weight(t, "c", graph.Bias, ramp(4), 4),
	}
	c := compress.NM{N: 1, M: 4}
	out, err := c.Compress(background, w)
	if err != nil {
		t.Fatal(err)
	}
	r, err := compress.NewReport(c, w, out)
	if err != nil {
		t.Fatal(err)
	}
	want := compress.Report{Compressor: "nm:1:4", Rows: []compress.Row{
		{Name: "a", Dims: []int{2, 6}, Total: 12, Kept: 12, Skipped: "input channels 6 are not a multiple of 4"},
		{Name: "b", Dims: []int{4, 4}, Total: 16, Kept: 4, Pattern: compress.Pattern{N: 1, M: 4, Axis: 1}},
	}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if total := r.Total(); total.Total != 28 || total.Kept != 16 || r.Rows[1].Sparsity() != 0.75 || (compress.Row{}).Sparsity() != 0 {
		t.Errorf("total %+v, sparsity of b %v", total, r.Rows[1].Sparsity())
	}
	if _, err := compress.NewReport(c, w, nil); err == nil {
		t.Error("a report on no result: want an error")
	}
}
