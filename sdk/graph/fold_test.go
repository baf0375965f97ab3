package graph_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// constants makes slots with values.
type constants struct {
	*graph.Builder
	values map[string]array.Value
}

// slot declares a slot filled with numbers in (0.5, 4.5).
func (c constants) slot(name string, d ...int) graph.Node {
	x, err := array.New(array.F32, d...)
	if err != nil {
		panic(err)
	}
	for k, v := range positive(len(name), d...).value.F64() {
		x.F32()[k] = float32(v)
	}
	c.values[name] = array.DenseValue(x)
	return c.Slot(slot(name, d...))
}

// norm normalises x [N 3 …] by constants whose names begin with prefix.
func (c constants) norm(x graph.Node, prefix string) graph.Node {
	return c.BatchNormInfer(x, c.slot(prefix+"gamma", 3), c.slot(prefix+"beta", 3), c.slot(prefix+"mean", 3), c.slot(prefix+"var", 3), 1e-3)
}

func (c constants) conv(x graph.Node, name string) graph.Node {
	return c.Conv2D(x, c.slot(name, 3, 2, 2, 2), graph.ConvAttr{})
}

// TestFoldBatchNorm compares folded programs with the programs themselves, and holds which batch
// norms are folded and under which names.
func TestFoldBatchNorm(t *testing.T) {
	for name, c := range map[string]struct {
		build func(c constants, x graph.Node) graph.Node // x is f32[N 2 4 4]
		left  int                                        // batch norms
		slots string                                     // of the folded program
	}{
		"plain": {func(c constants, x graph.Node) graph.Node { return c.norm(c.conv(x, "w"), "") }, 0, "w beta"},
		"bias": {func(c constants, x graph.Node) graph.Node {
			return c.norm(c.Add(c.conv(x, "w"), c.Reshape(c.slot("b", 3), graph.Of(3, 1, 1))), "")
		}, 0, "w beta"},
		"bias first, rank 4": {func(c constants, x graph.Node) graph.Node {
			return c.norm(c.Add(c.slot("b", 1, 3, 1, 1), c.conv(x, "w")), "")
		}, 0, "w beta"},
		"a bias for each row": {func(c constants, x graph.Node) graph.Node {
			return c.norm(c.Add(c.conv(x, "w"), c.slot("b", 3, 1)), "")
		}, 1, "w b gamma beta mean var"},
		"a bias for each pixel": {func(c constants, x graph.Node) graph.Node {
			return c.norm(c.Add(c.conv(x, "w"), c.slot("b", 3, 3)), "")
		}, 1, "w b gamma beta mean var"},
		"weights reshaped": {func(c constants, x graph.Node) graph.Node {
			return c.norm(c.Conv2D(x, c.Reshape(c.slot("w", 24), graph.Of(3, 2, 2, 2)), graph.ConvAttr{}), "")
		}, 0, "beta w.folded"},
		"weights shared": {func(c constants, x graph.Node) graph.Node {
			y := c.norm(c.conv(x, "w"), "a.")
			return c.Add(y, c.norm(c.conv(c.Scale(x, 2), "w"), "b."))
		}, 0, "a.beta b.beta w.folded w.folded.folded"},
		"beta shared, name taken": {func(c constants, x graph.Node) graph.Node {
			y := c.norm(c.conv(x, "w"), "")
			return c.Add(c.Mul(y, c.slot("beta.folded", 1)), c.Reshape(c.Slot(slot("beta", 3)), graph.Of(3, 1, 1)))
		}, 0, "w beta beta.folded beta.folded.folded"},
		"result read twice": {func(c constants, x graph.Node) graph.Node {
			y := c.conv(x, "w")
			return c.Add(c.norm(y, ""), y)
		}, 1, "w gamma beta mean var"},
		"result is an output": {func(c constants, x graph.Node) graph.Node {
			y := c.conv(x, "w")
			c.Output("conv", y)
			return c.norm(y, "")
		}, 1, "w gamma beta mean var"},
		"no convolution": {func(c constants, x graph.Node) graph.Node {
			return c.norm(c.Transpose(c.slot("w", 3, 2, 2, 2), 1, 0, 2, 3), "")
		}, 1, "w gamma beta mean var"},
		"two in a row": {func(c constants, x graph.Node) graph.Node {
			return c.norm(c.norm(c.conv(x, "w"), "a."), "b.")
		}, 1, "w a.beta b.gamma b.beta b.mean b.var"},
		"missing": {func(c constants, x graph.Node) graph.Node {
			y := c.norm(c.conv(x, "w"), "")
			delete(c.values, "mean")
			return y
		}, 1, "w gamma beta mean var"},
		"does not fit": {func(c constants, x graph.Node) graph.Node {
			y := c.norm(c.conv(x, "w"), "")
			c.values["mean"] = c.values["w"]
			return y
		}, 1, "w gamma beta mean var"},
		"damaged": {func(c constants, x graph.Node) graph.Node {
			y := c.norm(c.conv(x, "w"), "")
			v := c.values["var"]
			v.Values = v.Values[1:]
			c.values["var"] = v
			return y
		}, 1, "w gamma beta mean var"},
	} {
		t.Run(name, func(t *testing.T) {
			b := constants{graph.NewBuilder(), map[string]array.Value{}}
			y := b.Input("y", array.F32, graph.Of(1)) // fed second: the order of inputs is kept
			b.Output("y", b.Mul(c.build(b, b.Input("x", array.F32, graph.Batch(2, 4, 4))), y))
			p := program(t, b.Builder)
			slices.Reverse(p.Inputs)
			before, values := p.String(), fmt.Sprint(b.values)
			folded, consts, err := p.FoldBatchNorm(b.values)
			if err != nil {
				t.Fatal(err)
			}
			if p.String() != before || fmt.Sprint(b.values) != values {
				t.Error("the program or its constants have changed")
			}
			var slots []string
			for _, s := range folded.Slots {
				slots = append(slots, s.Name)
			}
			if got := strings.Join(slots, " "); folded.Count(graph.OpBatchNormInfer) != c.left || got != c.slots {
				t.Errorf("%d batch norms and slots %s, want %d and %s:\n%v", folded.Count(graph.OpBatchNormInfer), got, c.left, c.slots, folded)
			}
			if name == "does not fit" || name == "damaged" {
				return
			}
			want, got := evaluate(t, p, b.values), evaluate(t, folded, consts)
			for k := range want {
				near(t, p.Outputs[k].Name, got[k], want[k], 1e-5)
			}
		})
	}
}

// evaluate runs p on fixed numbers, with the given constants. Other slots are zero.
func evaluate(t *testing.T, p *graph.Program, consts map[string]array.Value) []array.Tensor {
	t.Helper()
	x, err := array.New(array.F32, 2, 2, 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range spaced(1, 64).value.F64() {
		x.F32()[k] = float32(v)
	}
	s, err := reference.New().NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := s.Compile(t.Context(), p, backends.Options{Const: consts})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exe.Run(t.Context(), []array.Tensor{x, fill(array.F32, dims(1), 3)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFoldFormula holds the new weights and bias against the formula, bit for bit, with weights
// stored in 16 bits.
func TestFoldFormula(t *testing.T) {
	b := constants{graph.NewBuilder(), map[string]array.Value{}}
	y := b.Add(b.conv(b.Input("x", array.F32, graph.Batch(2, 4, 4)), "w"), b.Reshape(b.slot("b", 3), graph.Of(3, 1, 1)))
	b.Output("y", b.norm(y, ""))
	var err error
	if b.values["w"], err = b.values["w"].Cast(array.BF16); err != nil {
		t.Fatal(err)
	}
	_, folded, err := program(t, b.Builder).FoldBatchNorm(b.values)
	if err != nil {
		t.Fatal(err)
	}
	old := func(name string) []float32 { return numbers(t, b.values[name]) }
	w, beta := numbers(t, folded["w"]), numbers(t, folded["beta"])
	for o := range beta {
		s := float64(old("gamma")[o]) / math.Sqrt(float64(old("var")[o])+1e-3)
		if want := float32((float64(old("b")[o])-float64(old("mean")[o]))*s + float64(old("beta")[o])); beta[o] != want {
			t.Errorf("bias %d is %v, want %v", o, beta[o], want)
		}
		for k := 8 * o; k < 8*(o+1); k++ {
			if want := float32(float64(old("w")[k]) * s); w[k] != want {
				t.Errorf("weight %d is %v, want %v", k, w[k], want)
			}
		}
	}
}

func numbers(t *testing.T, v array.Value) []float32 {
	t.Helper()
	v, err := v.Cast(array.F32)
	if err != nil {
		t.Fatal(err)
	}
	x, err := v.Decode()
	if err != nil {
		t.Fatal(err)
	}
	return x.F32()
}

// TestFoldNothing holds that a program without batch norm is returned as it is, and that an
// inconsistent one is an error.
func TestFoldNothing(t *testing.T) {
	b := graph.NewBuilder()
	b.Output("y", b.Exp(b.Input("x", array.F32, nil)))
	p := program(t, b)
	if got, consts, err := p.FoldBatchNorm(nil); got != p || consts != nil || err != nil {
		t.Errorf("got %v, %v, %v", got, consts, err)
	}
	p = &graph.Program{Code: []graph.Instr{{Op: graph.OpBatchNormInfer, In: []graph.ID{7}}}}
	if _, _, err := p.FoldBatchNorm(nil); err == nil {
		t.Error("an inconsistent program: no error")
	}
}
