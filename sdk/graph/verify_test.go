package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// sample is a program with every kind of edge: x and y fed, w and v kept, two outputs, two updates.
func sample(t *testing.T) *graph.Program {
	t.Helper()
	b := graph.NewBuilder()
	x, y := b.Input("x", array.F32, graph.Batch(2)), b.Input("y", array.F32, graph.Batch(2))
	w, v := b.Slot(slot("w", 2)), b.Slot(slot("v", 2))
	z := b.Add(b.Mul(x, w), y)
	b.Output("z", z)
	b.Output("sum", b.Sum(z, false, 0))
	b.Update("w", b.Add(w, v))
	b.Update("v", b.Sum(z, false, 0))
	return program(t, b)
}

func find(p *graph.Program, op graph.Op) *graph.Instr {
	return &p.Code[slices.IndexFunc(p.Code, func(i graph.Instr) bool { return i.Op == op })]
}

func TestVerifyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		corrupt func(p *graph.Program)
		says    string
	}{
		"unknown op":              {func(p *graph.Program) { find(p, graph.OpMul).Op = "mull" }, `unknown op "mull"`},
		"too few operands":        {func(p *graph.Program) { i := find(p, graph.OpMul); i.In = i.In[:1] }, "takes 2 operands, got 1"},
		"too many operands":       {func(p *graph.Program) { i := find(p, graph.OpMul); i.In = append(i.In, 0) }, "takes 2 operands, got 3"},
		"attribute missing":       {func(p *graph.Program) { find(p, graph.OpSum).Attr = nil }, "takes attribute graph.ReduceAttr, got <nil>"},
		"attribute of another":    {func(p *graph.Program) { find(p, graph.OpMul).Attr = graph.NormAttr{} }, "takes attribute <nil>, got graph.NormAttr"},
		"attribute by pointer":    {func(p *graph.Program) { find(p, graph.OpSum).Attr = &graph.ReduceAttr{} }, "takes attribute"},
		"attribute out of range":  {func(p *graph.Program) { find(p, graph.OpSum).Attr = graph.ReduceAttr{Axes: []int{7}} }, "do not fit"},
		"operand from the future": {func(p *graph.Program) { i := find(p, graph.OpMul); i.In[0] = i.Out[0] }, "not defined before use"},
		"operand negative":        {func(p *graph.Program) { find(p, graph.OpMul).In[0] = -1 }, "not defined before use"},
		"result misnumbered":      {func(p *graph.Program) { find(p, graph.OpMul).Out[0]++ }, "result 0: want value"},
		"result missing":          {func(p *graph.Program) { find(p, graph.OpMul).Out = nil }, "has 1 results, got 0"},
		"result of another type":  {func(p *graph.Program) { p.Types[find(p, graph.OpMul).Out[0]].DType = array.F64 }, "result 0: want value"},
		"result of another shape": {func(p *graph.Program) { p.Types[find(p, graph.OpMul).Out[0]].Shape = graph.Of(2) }, "result 0: want value"},
		"types too few":           {func(p *graph.Program) { p.Types = p.Types[:len(p.Types)-1] }, "result 0: want value"},
		"types too many":          {func(p *graph.Program) { p.Types = append(p.Types, graph.Type{DType: array.F32}) }, "values have types"},
		"instruction missing":     {func(p *graph.Program) { p.Code = p.Code[:len(p.Code)-1] }, "values have types"},
		"input undeclared":        {func(p *graph.Program) { p.Inputs = p.Inputs[:1] }, "1 inputs and 2 slots declared"},
		"input renamed":           {func(p *graph.Program) { p.Inputs[0].Name = "q" }, `input "q" is not in the code`},
		"input elsewhere":         {func(p *graph.Program) { p.Inputs[0].ID = p.Inputs[1].ID }, `input "x" is not in the code`},
		"input twice":             {func(p *graph.Program) { p.Inputs[1] = p.Inputs[0] }, "declared twice"},
		"input of one name twice": {func(p *graph.Program) { a := p.Code[1].Attr.(graph.SourceAttr); a.Name = "x"; p.Code[1].Attr = a }, "declared twice"},
		"slot undeclared":         {func(p *graph.Program) { p.Slots = p.Slots[:1] }, "2 inputs and 1 slots declared"},
		"slot renamed":            {func(p *graph.Program) { p.Slots[0].Name = "q" }, `slot "q"`},
		"slot twice":              {func(p *graph.Program) { p.Slots[1] = p.Slots[0] }, "declared twice"},
		"slot of another type":    {func(p *graph.Program) { p.Slots[0].DType = array.F64 }, `slot "w"`},
		"slot of no kind":         {func(p *graph.Program) { p.Slots[0].Kind = 99 }, "slotkind(99)"},
		"slot of no role":         {func(p *graph.Program) { p.Slots[0].Role = 99 }, "role(99)"},
		"output nowhere":          {func(p *graph.Program) { p.Outputs[0].ID = 1000 }, `output "z"`},
		"output negative":         {func(p *graph.Program) { p.Outputs[0].ID = -1 }, `output "z"`},
		"output twice":            {func(p *graph.Program) { p.Outputs[1].Name = "z" }, `output "z"`},
		"output without name":     {func(p *graph.Program) { p.Outputs[1].Name = "" }, `output ""`},
		"update nowhere":          {func(p *graph.Program) { p.Updates[0].ID = 1000 }, `update of slot "w"`},
		"update of nothing":       {func(p *graph.Program) { p.Updates[0].Slot = "q" }, `update of slot "q"`},
		"update twice":            {func(p *graph.Program) { p.Updates[1] = p.Updates[0] }, `update of slot "w"`},
		"update of another type":  {func(p *graph.Program) { p.Updates[0].ID = p.Outputs[0].ID }, `update of slot "w"`},
	} {
		t.Run(name, func(t *testing.T) {
			p := sample(t)
			if err := p.Verify(); err != nil {
				t.Fatal(err)
			}
			c.corrupt(p)
			if err := p.Verify(); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("want an error with %q, got %v", c.says, err)
			}
		})
	}
}

func TestBind(t *testing.T) {
	b := graph.NewBuilder()
	n, length := graph.Sym("N"), graph.Sym("T")
	b.Input("a", array.F32, graph.Shape{n, length, {C: 2}})
	b.Input("b", array.I32, graph.Shape{n.Mul(length)})
	b.Input("c", array.F32, graph.Shape{graph.Dim{C: 3}.Mul(graph.Sym("K"))})
	b.Output("y", b.Const(array.F32, 0, graph.Shape{length, graph.Sym("K")}))
	p := program(t, b)
	tensor := func(d array.DType, dims ...int) array.Tensor {
		x, err := array.New(d, dims...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	good := func() []array.Tensor {
		return []array.Tensor{tensor(array.F32, 4, 5, 2), tensor(array.I32, 20), tensor(array.F32, 21)}
	}
	sizes, err := p.Bind(good())
	if err != nil || fmt.Sprint(sizes) != "map[K:7 N:4 T:5]" {
		t.Errorf("sizes %v, %v", sizes, err)
	}
	for name, c := range map[string]struct {
		change func(in []array.Tensor) []array.Tensor
		says   string
	}{
		"too few":      {func(in []array.Tensor) []array.Tensor { return in[:2] }, "3 inputs"},
		"wrong type":   {func(in []array.Tensor) []array.Tensor { in[1] = tensor(array.F32, 20); return in }, `input "b": want i32, got f32`},
		"wrong rank":   {func(in []array.Tensor) []array.Tensor { in[0] = tensor(array.F32, 4, 10); return in }, `input "a": want shape [N T 2], got [4 10]`},
		"wrong extent": {func(in []array.Tensor) []array.Tensor { in[0] = tensor(array.F32, 4, 5, 3); return in }, "dimension 2"},
		"product":      {func(in []array.Tensor) []array.Tensor { in[1] = tensor(array.I32, 21); return in }, "want shape [N*T], got [21]"},
		"no multiple":  {func(in []array.Tensor) []array.Tensor { in[2] = tensor(array.F32, 20); return in }, "want shape [3*K], got [20]"},
		"none":         {func(in []array.Tensor) []array.Tensor { in[2] = array.Tensor{}; return in }, `input "c"`},
		"short":        {func(in []array.Tensor) []array.Tensor { in[2].Data = in[2].Data[:80]; return in }, "want 84 bytes, got 80"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := p.Bind(c.change(good())); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("want an error with %q, got %v", c.says, err)
			}
		})
	}
}

func TestWithFloat(t *testing.T) {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(2))
	w := b.Slot(slot("w", 2))
	key := b.Input("key", array.I64, graph.Of(2))
	noise := b.Uniform(key, 0, array.F32, graph.Of(2))
	labels := b.ArgMax(x)
	y := b.Add(b.Cast(labels, array.F32), b.Sum(b.Mul(b.Mul(x, w), b.Add(noise, b.Const(array.F32, 1, nil))), false, 1))
	b.Output("y", y)
	b.Update("w", b.Scale(w, 2))
	p := program(t, b)
	before := p.String()
	double, err := p.WithFloat(array.F64)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := double.String(), strings.ReplaceAll(before, "f32", "f64"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s, _ := double.Slot("w"); s.DType != array.F64 {
		t.Errorf("slot is %v", s.Type)
	}
	if p.String() != before || p.Slots[0].DType != array.F32 {
		t.Error("the program itself has changed")
	}
}
