package nn_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/internal/golden"
)

func names(decls []nn.Decl) []string {
	var out []string
	for _, d := range decls {
		out = append(out, d.Name)
	}
	return out
}

func f32(t *testing.T, v []float32, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.From(v, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func program(t *testing.T, b *graph.Builder) *graph.Program {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDeclare(t *testing.T) {
	m := nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		x = p.At("a").At("b").Apply("conv", nn.Conv2D{Out: 2, Kernel: 3}, x)
		x = p.Apply("bn", nn.BatchNorm{}, x)
		if p.Mode == nn.Train { // as an auxiliary head would
			p.Param("train_only", graph.Other, nn.Constant(0))
		} else {
			p.Param("infer_only", graph.Other, nn.Constant(0), 4)
		}
		return p.Apply("fc", nn.Linear{Out: 3, NoBias: true}, nn.GlobalAvgPool(p, x))
	})
	decls, out, err := nn.Declare(m, graph.Floats("x", 1, 5, 6))
	if err != nil {
		t.Fatal(err)
	}
	if want := (graph.Type{DType: array.F32, Shape: graph.Batch(3)}); !out.Equal(want) {
		t.Errorf("output is %v, want %v", out, want)
	}
	type row struct {
		Name, Kind, Role, Type string
	}
	var got []row
	for _, d := range decls {
		got = append(got, row{d.Name, d.Kind.String(), d.Role.String(), d.Type.String()})
	}
	want := []row{
		{"a.b.conv.weight", "param", "kernel", "f32[2 1 3 3]"},
		{"a.b.conv.bias", "param", "bias", "f32[2]"},
		{"bn.weight", "param", "norm", "f32[2]"},
		{"bn.bias", "param", "norm", "f32[2]"},
		{"bn.running_mean", "stat", "other", "f32[2]"},
		{"bn.running_var", "stat", "other", "f32[2]"},
		{"train_only", "param", "other", "f32[]"},
		{"fc.weight", "param", "kernel", "f32[3 2]"},
		{"infer_only", "param", "other", "f32[4]"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestSharedParam holds that equal names are one parameter, whose gradient is the sum over both
// uses.
func TestSharedParam(t *testing.T) {
	b := graph.NewBuilder()
	p := nn.NewPass(b, nn.Train)
	x := b.Input("x", array.F32, graph.Batch(1))
	l := nn.Linear{Out: 1, NoBias: true}
	y := p.Apply("fc", l, p.Apply("fc", l, x)) // w²x
	b.Output("dw", b.Grad(b.Sum(y, false), p.Slot(p.Decls()[0].Slot))[0])
	if n := len(p.Decls()); n != 1 {
		t.Fatalf("%d declarations, want 1", n)
	}
	out, _ := golden.Run(t, program(t, b), map[string]array.Tensor{"fc.weight": f32(t, []float32{3}, 1, 1)}, f32(t, []float32{5}, 1, 1))
	if got := out["dw"].F32()[0]; got != 30 {
		t.Errorf("d(w²x)/dw at w=3, x=5 is %g, want 30", got)
	}
}

// TestWeights holds that the values in Weights replace those of the slots of the same names.
func TestWeights(t *testing.T) {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(1))
	clean := nn.NewPass(b, nn.Train)
	y := clean.Apply("fc", nn.Linear{Out: 1}, x)
	moved := nn.NewPass(b, nn.Train)
	moved.Weights = map[string]graph.Node{"fc.weight": b.Scale(clean.At("fc").Param("weight", graph.Kernel, nn.KaimingUniform, 1, 1), 10)}
	z := moved.Apply("fc", nn.Linear{Out: 1}, x)
	b.Output("clean", y)
	b.Output("moved", z)
	if d := cmp.Diff(names(clean.Decls()), names(moved.Decls())); d != "" {
		t.Errorf("the passes declare different names:\n%s", d)
	}
	out, _ := golden.Run(t, program(t, b), map[string]array.Tensor{
		"fc.weight": f32(t, []float32{2}, 1, 1),
		"fc.bias":   f32(t, []float32{1}),
	}, f32(t, []float32{3}, 1, 1))
	if c, m := out["clean"].F32()[0], out["moved"].F32()[0]; c != 7 || m != 61 {
		t.Errorf("2·3+1 and 20·3+1 are %g and %g", c, m)
	}
}

// TestMistakes holds that a mistake in a model is an error of Declare that contains the name of the
// layer and the line of the model.
func TestMistakes(t *testing.T) {
	image, vector := graph.Floats("x", 3, 8, 8), graph.Floats("x", 4)
	apply := func(m nn.Model) nn.Model {
		return nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			y := p.At("net").Apply("layer", m, x)
			return nn.Flatten(p, nn.ReLU(p, y)) // no panic after a mistake
		})
	}
	for _, c := range []struct {
		name  string
		model nn.Model
		input graph.Field
		want  string
	}{
		{"nil model", nil, image, "want a Model, got nil"},
		{"nil layer", apply(nil), image, "net.layer: want a Model, got nil"},
		{"nil function", apply(nn.Func(nil)), image, "net.layer (Func): want a function, got nil"},
		{"conv of a vector", apply(nn.Conv2D{Out: 1, Kernel: 1}), vector, "net.layer (Conv2D): want x of rank 4, got f32[N 4]"},
		{"conv out", apply(nn.Conv2D{Kernel: 1}), image, "net.layer (Conv2D): want Out of at least 1, got 0"},
		{"conv kernel", apply(nn.Conv2D{Out: 1}), image, "net.layer (Conv2D): want Kernel of at least 1, got 0"},
		{"conv stride", apply(nn.Conv2D{Out: 1, Kernel: 1, Stride: -1}), image, "want Stride of at least 1, got -1"},
		{"conv groups", apply(nn.Conv2D{Out: 4, Kernel: 1, Groups: 2}), image, "want Groups that divide the 3 input and 4 output channels, got 2"},
		{"conv padding", apply(nn.Conv2D{Out: 4, Kernel: 1, Padding: -1}), image, "padding"},
		{"conv too large", apply(nn.Conv2D{Out: 4, Kernel: 9}), image, "larger than the padded image"},
		{"linear out", apply(nn.Linear{}), vector, "net.layer (Linear): want Out of at least 1, got 0"},
		{"linear of a symbolic axis", apply(nn.Linear{Out: 2}), graph.Field{Name: "x", Type: graph.Type{DType: array.F32, Shape: graph.Shape{graph.Sym("T")}}}, "want a constant size of axis 1 of x, got f32[N T]"},
		{"linear of a scalar", apply(nn.Linear{Out: 2}), graph.Floats("x"), "net.layer (Linear): want a constant size of axis 0"},
		{"batchnorm of rank 1", apply(nn.BatchNorm{}), graph.Floats("x"), "net.layer (BatchNorm): want a constant size of axis 1"},
		{"batchnorm momentum", apply(nn.BatchNorm{Momentum: 2}), image, "want Momentum from 0 to 1, got 2"},
		{"batchnorm eps", apply(nn.BatchNorm{Eps: -1}), image, "want Eps from 0 to 1, got -1"},
		{"layernorm eps", apply(nn.LayerNorm{Eps: -1}), vector, "want Eps from 0 to 1, got -1"},
		{"embedding of floats", apply(nn.Embedding{Rows: 2, Dim: 2}), vector, "want i32 indices, got f32[N 4]"},
		{"pool kernel", apply(nn.MaxPool{}), image, "kernel [0 0]"},
		{"pool padding", apply(nn.AvgPool{Kernel: 2, Padding: 2}), image, "padding"},
		{"pool of a vector", apply(nn.Func(nn.GlobalAvgPool)), vector, "GlobalAvgPool): want x of rank 4"},
		{"dropout", apply(nn.Dropout{P: 1}), vector, "want P of 0 or more and below 1, got 1"},
		{"other shape", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			p.Param("w", graph.Other, nn.Constant(0), 2)
			return p.Param("w", graph.Other, nn.Constant(0), 3)
		}), image, "w: want param other f32[2] as declared before, got param other f32[3]"},
		{"other shape in the other mode", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			return p.Param("w", graph.Other, nn.Constant(0), 2+int(p.Mode))
		}), image, "as declared before"},
		{"dimension of 0", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			return p.Param("w", graph.Other, nn.Constant(0), 2, 0)
		}), image, "w: want dimensions of at least 1, got [2 0]"},
		{"no name", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			return p.At("a").Param("", graph.Other, nn.Constant(0))
		}), image, `scope "a": want a name for a param, got none`},
		{"no init", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			return p.Param("w", graph.Other, nil)
		}), image, "w: want an Init, got nil"},
		{"undeclared statistic", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			p.SetStat("s", x)
			return x
		}), image, "SetStat: want a statistic of this pass, got s"},
		{"statistic of another type", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			p.Stat("s", nn.Constant(0), 2)
			p.SetStat("s", x)
			return x
		}), image, "s: want f32[2], got f32[N 3 8 8]"},
		{"two initial values", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			for v := range 2 {
				w, _ := array.From([]float32{float32(v)}, 1)
				p.Param("w", graph.Other, nn.Constant(0), 1)
				p.SetInitial("w", w)
			}
			return x
		}), image, "w: want one initial value, got two"},
		{"nothing returned", nn.Func(func(*nn.Pass, graph.Node) graph.Node { return graph.Node{} }), image, "want a node of its pass"},
		{"another builder", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			return graph.NewBuilder().Input("x", array.F32, image.Batch().Shape)
		}), image, "want a node of its pass"},
		{"weights of another type", nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
			p.Weights = map[string]graph.Node{"w": x}
			return p.Param("w", graph.Other, nn.Constant(0), 2)
		}), image, `Weights["w"]: want f32[2] of this pass's builder, got f32[N 3 8 8]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			decls, _, err := nn.Declare(c.model, c.input)
			if err == nil || !strings.Contains(err.Error(), c.want) || decls != nil {
				t.Fatalf("got %v and error %v, want one with %q", decls, err, c.want)
			}
			if c.model != nil && !strings.Contains(c.want, "node of its pass") && !strings.Contains(err.Error(), "(at pass_test.go:") {
				t.Errorf("%v: want the line of the model", err)
			}
		})
	}
}

func TestModeString(t *testing.T) {
	for m, want := range map[nn.Mode]string{nn.Infer: "infer", nn.Train: "train", 9: "mode(9)"} {
		if m.String() != want {
			t.Errorf("mode %d prints as %q, want %q", m, m, want)
		}
	}
}
