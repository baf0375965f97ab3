// Package golden compares models with PyTorch: shapes and names of parameters, outputs in both
// modes, gradients and running statistics. It computes them in float64 on the reference backend and
// compares them with values that golden.py has written.
package golden

import (
	"context"
	"embed"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// tolerance is the largest |got-want|/(1+|want|). Both sides compute in float64 and differ in the
// order of sums, which have at most a few thousand terms of order one, through fewer than 20
// layers.
const tolerance = 1e-10

//go:embed layers.json models.json
var files embed.FS

// A Case is the result of PyTorch for one model.
type Case struct {
	Name   string
	Input  []int
	Rows   int // the input consists of indices below Rows; 0: it consists of floats
	State  map[string][]int
	Output []int
	Infer  []float64
	Train  []float64
	// Σ gradient·formula, by name; the input is "x", the loss Σ output·formula
	Grads map[string]float64
	Stats map[string][]float64 // after the training pass
}

// Cases returns the cases of one file, "layers" or "models".
func Cases(t *testing.T, file string) []Case {
	t.Helper()
	text, err := files.ReadFile(file + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []Case
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// formula is the function of the same name in golden.py.
func formula(n, a, b, mod int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64((i*a+b)%mod)/float64(mod)*2 - 1
	}
	return v
}

// value returns the values that golden.py gives to the k-th state in order of name.
func value(name string, k int, dims []int) []float64 {
	v := formula(array.Count(dims), 6151, 3571*(k+1), 1999)
	shift, scale := 0.0, 1.0
	switch {
	case strings.HasSuffix(name, "running_var"):
		shift, scale = 1, 0.5
	case strings.HasSuffix(name, "running_mean"), strings.HasSuffix(name, "bias"):
		scale = 0.1
	case len(dims) == 1:
		shift, scale = 1, 0.25
	default:
		scale = math.Sqrt(6 / float64(array.Count(dims[1:])))
	}
	for i := range v {
		v[i] = shift + scale*v[i]
	}
	return v
}

// Check runs m with the inputs and the state of the case and reports every difference.
func Check(t *testing.T, m nn.Model, c Case) {
	t.Helper()
	infer, decls := c.program(t, m, nn.Infer)
	train, _ := c.program(t, m, nn.Train)

	declared := map[string][]int{}
	for _, d := range decls {
		declared[d.Name], _ = d.Shape.Dims()
	}
	if !maps.EqualFunc(declared, c.State, slices.Equal) {
		t.Fatalf("parameters and statistics are %v, want %v", declared, c.State)
	}

	got := c.run(t, infer)
	compare(t, "output of inference", got["output"], c.Infer)
	got = c.run(t, train)
	compare(t, "output of training", got["output"], c.Train)
	for name, want := range c.Grads {
		g := got["grad/"+name]
		sum := 0.0
		for i, f := range formula(len(g), 4657, 3571, 1997) {
			sum += g[i] * f
		}
		compare(t, "gradient of "+name, []float64{sum}, []float64{want})
	}
	for name, want := range c.Stats {
		compare(t, name, got["stat/"+name], want)
	}
}

// program traces m: outputs "output" and, in training, "grad/NAME" and "stat/NAME".
func (c Case) program(t *testing.T, m nn.Model, mode nn.Mode) (*graph.Program, []nn.Decl) {
	t.Helper()
	b := graph.NewBuilder()
	d := array.F32
	if c.Rows > 0 {
		d = array.I32
	}
	x := b.Input("x", d, append(graph.Shape{graph.Sym("N")}, graph.Of(c.Input[1:]...)...))
	p := nn.NewPass(b, mode)
	y := m.Forward(p, x)
	b.Output("output", y)
	if mode == nn.Train {
		loss := b.Sum(b.Mul(y, b.Input("cotangent", array.F32, b.Shape(y))), false)
		names, wrt := c.differentiated(p, x)
		for i, g := range b.Grad(loss, wrt...) {
			b.Output("grad/"+names[i], g)
		}
		for _, name := range slices.Sorted(maps.Keys(p.Stats)) {
			b.Output("stat/"+name, p.Stats[name])
		}
	}
	program, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	if program, err = program.WithFloat(array.F64); err != nil {
		t.Fatal(err)
	}
	return program, p.Decls()
}

func (c Case) differentiated(p *nn.Pass, x graph.Node) (names []string, nodes []graph.Node) {
	if c.Rows == 0 {
		names, nodes = append(names, "x"), append(nodes, x)
	}
	for _, d := range p.Decls() {
		if d.Kind == graph.Param {
			names, nodes = append(names, d.Name), append(nodes, p.Slot(d.Slot))
		}
	}
	return names, nodes
}

// run returns the outputs of a program at the case's input and state.
func (c Case) run(t *testing.T, program *graph.Program) map[string][]float64 {
	t.Helper()
	slots := map[string]array.Tensor{}
	for k, name := range slices.Sorted(maps.Keys(c.State)) {
		slots[name] = tensor(t, value(name, k, c.State[name]), c.State[name])
	}
	in := []array.Tensor{c.input(t)}
	if len(program.Inputs) > 1 {
		in = append(in, tensor(t, formula(array.Count(c.Output), 5347, 7919, 1993), c.Output))
	}
	out, _ := Run(t, program, slots, in...)
	got := map[string][]float64{}
	for name, v := range out {
		got[name] = v.F64()
	}
	return got
}

// Run runs a program once on the reference backend with the given slots. It returns the outputs and
// the values of the slots after the run, by name.
func Run(t *testing.T, program *graph.Program, slots map[string]array.Tensor, in ...array.Tensor) (out, after map[string]array.Tensor) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	session, err := reference.New().NewSession(ctx)
	check(err)
	defer session.Close()
	for name, v := range slots {
		check(session.Set(ctx, name, array.DenseValue(v)))
	}
	exe, err := session.Compile(ctx, program, backends.Options{})
	check(err)
	results, err := exe.Run(ctx, in, nil)
	check(err)
	out, after = map[string]array.Tensor{}, map[string]array.Tensor{}
	for i, o := range program.Outputs {
		out[o.Name] = results[i]
	}
	for _, s := range program.Slots {
		after[s.Name], err = session.Get(ctx, s.Name)
		check(err)
	}
	return out, after
}

func tensor(t *testing.T, v []float64, dims []int) array.Tensor {
	t.Helper()
	x, err := array.From(v, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (c Case) input(t *testing.T) array.Tensor {
	t.Helper()
	if c.Rows == 0 {
		return tensor(t, formula(array.Count(c.Input), 7919, 104729, 2003), c.Input)
	}
	indices := make([]int32, array.Count(c.Input))
	for i := range indices {
		indices[i] = int32(i * 7 % c.Rows)
	}
	x, err := array.From(indices, c.Input...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func compare(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i, w := range want {
		if d := math.Abs(got[i] - w); !(d <= tolerance*(1+math.Abs(w))) {
			t.Errorf("%s: value %d is %.17g, want %.17g", what, i, got[i], w)
			return
		}
	}
}
