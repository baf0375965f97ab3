package graph_test

import (
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// normalised is a program with two inputs, slots, two outputs of which one is an input, an op with
// three results and two updates.
func normalised(t *testing.T) *graph.Program {
	b := graph.NewBuilder()
	x := b.Input("x", array.F64, graph.Batch(3))
	bias := b.Input("bias", array.F64, graph.Of(3))
	f64 := func(name string, kind graph.SlotKind, d ...int) graph.Node {
		return b.Slot(graph.Slot{Name: name, Kind: kind, Type: graph.Type{DType: array.F64, Shape: graph.Of(d...)}})
	}
	w, gamma := f64("w", graph.Param, 3, 3), f64("gamma", graph.Param, 3)
	mean, variance := f64("mean", graph.Stat, 3), f64("var", graph.Stat, 3)
	y, m, v := b.BatchNorm(b.MatMul(x, w, false, true), gamma, bias, 1e-3)
	b.Output("y", b.Tanh(y))
	b.Output("x again", x)
	b.Update("mean", b.Add(b.Scale(mean, 0.9), b.Scale(m, 0.1)))
	b.Update("var", b.Add(b.Scale(variance, 0.9), b.Scale(v, 0.1)))
	return program(t, b)
}

// session returns an executable of p whose slots hold the given values.
func session(t *testing.T, p *graph.Program, slots map[string]array.Tensor) (backends.Session, backends.Executable) {
	t.Helper()
	s, err := reference.New().NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := s.Compile(t.Context(), p, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range slots {
		if err := s.Set(t.Context(), name, array.DenseValue(x)); err != nil {
			t.Fatal(err)
		}
	}
	return s, exe
}

// TestInline holds that an inlined program computes what the program itself computes, bit for bit.
func TestInline(t *testing.T) {
	p := normalised(t)
	slots := map[string]array.Tensor{
		"w": spaced(1, 3, 3).value, "gamma": positive(2, 3).value, "mean": spaced(3, 3).value, "var": positive(4, 3).value,
	}
	in := []array.Tensor{spaced(5, 7, 3).value, spaced(6, 3).value}
	want, exe := session(t, p, slots)
	outputs, err := exe.Run(t.Context(), in, nil)
	if err != nil {
		t.Fatal(err)
	}

	b := graph.NewBuilder()
	x, bias := b.Input("a", array.F64, graph.Batch(3)), b.Input("b", array.F64, graph.Of(3))
	var asked []string
	results, updates := b.Inline(p, []graph.Node{b.Scale(x, 1), bias}, func(s graph.Slot) graph.Node {
		asked = append(asked, s.Name)
		s.Name = "net." + s.Name
		return b.Slot(s)
	})
	if len(results) != 2 || len(updates) != 2 || strings.Join(asked, " ") != "w gamma mean var" {
		t.Fatalf("%d outputs, %d updates, slots %v", len(results), len(updates), asked)
	}
	for k, o := range p.Outputs {
		b.Output(o.Name, results[k])
	}
	for name, n := range updates {
		b.Update("net."+name, n)
	}
	renamed := map[string]array.Tensor{}
	for name, x := range slots {
		renamed["net."+name] = x
	}
	got, exe := session(t, program(t, b), renamed)
	inlined, err := exe.Run(t.Context(), in, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k := range outputs {
		near(t, p.Outputs[k].Name, inlined[k], outputs[k], 0)
	}
	for name := range slots {
		x, err := want.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		y, err := got.Get(t.Context(), "net."+name)
		if err != nil {
			t.Fatal(err)
		}
		near(t, name, y, x, 0)
	}
}

// TestInlineWithoutCallback holds that the slots of the program become slots of the builder.
func TestInlineWithoutCallback(t *testing.T) {
	p := normalised(t)
	b := graph.NewBuilder()
	x, bias := b.Input("x", array.F64, graph.Batch(3)), b.Input("bias", array.F64, graph.Of(3))
	results, updates := b.Inline(p, []graph.Node{x, bias}, nil)
	for k, o := range p.Outputs {
		b.Output(o.Name, results[k])
	}
	for _, u := range p.Updates {
		b.Update(u.Slot, updates[u.Slot])
	}
	if got := program(t, b); got.String() != p.String() {
		t.Errorf("got\n%v\nwant\n%v", got, p)
	}
}

// TestInlineGrad holds that gradients flow through an inlined program to the nodes that take the
// place of its inputs and slots.
func TestInlineGrad(t *testing.T) {
	p := normalised(t)
	in := []array.Tensor{spaced(1, 5, 3).value, spaced(2, 3).value, spaced(3, 3, 3).value, positive(4, 3).value}
	build := func(inline bool) *graph.Program {
		b := graph.NewBuilder()
		x, bias := b.Input("x", array.F64, graph.Batch(3)), b.Input("bias", array.F64, graph.Of(3))
		w, gamma := b.Input("w", array.F64, graph.Of(3, 3)), b.Input("gamma", array.F64, graph.Of(3))
		var y graph.Node
		if inline {
			results, _ := b.Inline(p, []graph.Node{x, bias}, func(s graph.Slot) graph.Node {
				switch s.Name {
				case "w":
					return w
				case "gamma":
					return gamma
				}
				return b.Slot(s)
			})
			y = results[0]
		} else {
			h, _, _ := b.BatchNorm(b.MatMul(x, w, false, true), gamma, bias, 1e-3)
			y = b.Tanh(h)
		}
		for k, g := range b.Grad(b.Sum(b.Mul(y, y), false), x, bias, w, gamma) {
			b.Output(string(rune('a'+k)), g)
		}
		return program(t, b)
	}
	want, got := run(t, build(false), in...), run(t, build(true), in...)
	for k := range want {
		if zeros(want[k]) {
			t.Errorf("gradient %d is zero", k)
		}
		near(t, "gradient", got[k], want[k], 0)
	}
}

func zeros(x array.Tensor) bool {
	for _, v := range x.F64() {
		if v != 0 {
			return false
		}
	}
	return true
}

func TestInlineMistakes(t *testing.T) {
	p := normalised(t)
	for name, c := range map[string]struct {
		inline func(b *graph.Builder, x, bias graph.Node)
		says   string
	}{
		"too few inputs": {func(b *graph.Builder, x, _ graph.Node) { b.Inline(p, []graph.Node{x}, nil) }, "each of the 2 inputs, got 1"},
		"wrong type":     {func(b *graph.Builder, x, _ graph.Node) { b.Inline(p, []graph.Node{x, x}, nil) }, "input bias: want f64[3], got f64[N 3]"},
		"none":           {func(b *graph.Builder, x, _ graph.Node) { b.Inline(p, []graph.Node{x, {}}, nil) }, "input bias: node is none"},
		"foreign": {func(b *graph.Builder, x, _ graph.Node) {
			b.Inline(p, []graph.Node{x, graph.NewBuilder().Input("bias", array.F64, graph.Of(3))}, nil)
		}, "input bias: node belongs to another builder"},
		"wrong slot": {func(b *graph.Builder, x, bias graph.Node) {
			b.Inline(p, []graph.Node{x, bias}, func(graph.Slot) graph.Node { return bias })
		}, "slot w: want f64[3 3], got f64[3]"},
		"no slot": {func(b *graph.Builder, x, bias graph.Node) {
			b.Inline(p, []graph.Node{x, bias}, func(graph.Slot) graph.Node { return graph.Node{} })
		}, "slot w: node is none"},
		"unverified": {func(b *graph.Builder, x, bias graph.Node) {
			b.Inline(&graph.Program{Outputs: []graph.Port{{Name: "y", ID: 3}}}, nil, nil)
		}, `output "y"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := graph.NewBuilder()
			c.inline(b, b.Input("x", array.F64, graph.Batch(3)), b.Input("bias", array.F64, graph.Of(3)))
			if err := b.Err(); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "inline_test.go") {
				t.Errorf("want an error with %q and this file, got %v", c.says, err)
			}
		})
	}
}
