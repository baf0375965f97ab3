package graph_test

import (
	"math"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func slot(name string, d ...int) graph.Slot {
	return graph.Slot{Name: name, Type: graph.Type{DType: array.F32, Shape: graph.Of(d...)}}
}

// Every mistake is an error of Program that names the op, what was wrong, and the line of this
// file.
func TestBuilderMistakes(t *testing.T) {
	other := graph.NewBuilder()
	foreign := other.Input("x", array.F32, graph.Of(2))
	ints := func(n int) []int { return make([]int, n) }
	for name, c := range map[string]struct {
		// x is f32[N 4], image f32[2 3 5 5]
		make func(b *graph.Builder, x, image graph.Node) graph.Node
		says string
	}{
		"none":               {func(b *graph.Builder, _, _ graph.Node) graph.Node { return b.Exp(graph.Node{}) }, "exp operand 0: node is none"},
		"foreign":            {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Add(x, foreign) }, "another builder"},
		"input twice":        {func(b *graph.Builder, _, _ graph.Node) graph.Node { return b.Input("x", array.F32, nil) }, `input "x" is declared twice`},
		"input without name": {func(b *graph.Builder, _, _ graph.Node) graph.Node { return b.Input("", array.F32, nil) }, "needs a name"},
		"input without type": {func(b *graph.Builder, _, _ graph.Node) graph.Node { return b.Input("z", 0, nil) }, "invalid"},
		"zero extent":        {func(b *graph.Builder, _, _ graph.Node) graph.Node { return b.Const(array.F32, 0, graph.Of(2, 0)) }, "dimension 1 is out of range"},
		"too many elements": {func(b *graph.Builder, _, _ graph.Node) graph.Node {
			return b.Const(array.F32, 0, graph.Of(1<<30, 1<<30, 1<<30))
		}, "dimension 1 is out of range"},
		"symbolic slot": {func(b *graph.Builder, _, _ graph.Node) graph.Node {
			return b.Slot(graph.Slot{Name: "s", Type: graph.Type{DType: array.F32, Shape: graph.Batch()}})
		}, "want a constant shape"},
		"slot changes":      {func(b *graph.Builder, _, _ graph.Node) graph.Node { b.Slot(slot("s", 2)); return b.Slot(slot("s", 3)) }, `slot "s" is declared as param other f32[2] and again as param other f32[3]`},
		"update undeclared": {func(b *graph.Builder, x, _ graph.Node) graph.Node { b.Update("s", x); return x }, "call Slot first"},
		"update other type": {func(b *graph.Builder, x, _ graph.Node) graph.Node { b.Slot(slot("s", 2)); b.Update("s", x); return x }, `update of slot "s": want f32[2], got f32[N 4]`},
		"update twice": {func(b *graph.Builder, x, _ graph.Node) graph.Node {
			s := b.Slot(slot("s", 2))
			b.Update("s", s)
			b.Update("s", s)
			return x
		}, "updated twice"},
		"output twice": {func(b *graph.Builder, x, _ graph.Node) graph.Node { b.Output("y", x); return x }, `output "y" is declared twice`},
		"integers":     {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Exp(b.ArgMax(x)) }, "want a float type, got i32"},
		"types differ": {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Add(x, b.Cast(x, array.F64)) }, "operand 1: want f32[N 4], got f64[N 4]"},
		"do not broadcast": {func(b *graph.Builder, x, _ graph.Node) graph.Node {
			return b.Add(x, b.Const(array.F32, 0, graph.Of(3)))
		}, "do not broadcast"},
		"symbols differ": {func(b *graph.Builder, x, _ graph.Node) graph.Node {
			return b.Add(x, b.Const(array.F32, 0, graph.Shape{graph.Sym("T"), {C: 4}}))
		}, "do not broadcast"},
		"broadcast":        {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Broadcast(x, graph.Of(4)) }, "does not broadcast to [4]"},
		"cast to nothing":  {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Cast(x, 99) }, "dtype(99)"},
		"inner dimensions": {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.MatMul(x, x, false, false) }, "inner dimensions differ: 4 and N"},
		"matrix of a vector": {func(b *graph.Builder, x, _ graph.Node) graph.Node {
			v := b.Sum(x, false, 0)
			return b.MatMul(v, v, false, false)
		}, "arrays of matrices"},
		"conv of a matrix": {func(b *graph.Builder, x, im graph.Node) graph.Node { return b.Conv2D(x, im, graph.ConvAttr{}) }, "x: want rank 4"},
		"conv channels": {func(b *graph.Builder, _, im graph.Node) graph.Node {
			return b.Conv2D(im, b.Const(array.F32, 0, graph.Of(2, 2, 3, 3)), graph.ConvAttr{})
		}, "wants 2 input channels"},
		"conv groups": {func(b *graph.Builder, _, im graph.Node) graph.Node {
			return b.Conv2D(im, b.Const(array.F32, 0, graph.Of(4, 1, 3, 3)), graph.ConvAttr{Groups: 3})
		}, "do not divide into 3 groups"},
		"conv kernel": {func(b *graph.Builder, _, im graph.Node) graph.Node {
			return b.Conv2D(im, b.Const(array.F32, 0, graph.Of(2, 3, 7, 7)), graph.ConvAttr{})
		}, "larger than the padded image 5×5"},
		"conv stride": {func(b *graph.Builder, _, im graph.Node) graph.Node {
			return b.Conv2D(im, im, graph.ConvAttr{Stride: [2]int{-1, 1}})
		}, "want 1 or more, got kernel"},
		"conv padding": {func(b *graph.Builder, _, im graph.Node) graph.Node {
			return b.Conv2D(im, im, graph.ConvAttr{Pad: [4]int{0, -1, 0, 0}})
		}, "want a padding of 0 or more"},
		"pool padding": {func(b *graph.Builder, _, im graph.Node) graph.Node {
			return b.MaxPool(im, graph.PoolAttr{Kernel: [2]int{2, 2}, Pad: [4]int{2, 0, 0, 0}})
		}, "at most half of the kernel"},
		"pool without kernel": {func(b *graph.Builder, _, im graph.Node) graph.Node { return b.AvgPool(im, graph.PoolAttr{}) }, "want 1 or more, got kernel"},
		"reshape":             {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Reshape(x, graph.Of(5)) }, "has 4*N elements"},
		"reshape rest":        {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Reshape(x, graph.Shape{{}, {C: 3}}) }, "do not divide"},
		"reshape two rests":   {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Reshape(x, graph.Shape{{}, {}}) }, "do not divide"},
		"flatten":             {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Flatten(x, 3) }, "from axis 3"},
		"permutation":         {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Transpose(x, 1, 1) }, "not a permutation"},
		"permutation short":   {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Transpose(x, 0) }, "does not fit"},
		"slice of the batch": {func(b *graph.Builder, x, _ graph.Node) graph.Node {
			return b.Slice(x, ints(2), []int{1, -1}, []int{1, 1})
		}, "range 0:1:1 does not fit axis 0"},
		"slice too far": {func(b *graph.Builder, x, _ graph.Node) graph.Node {
			return b.Slice(x, ints(2), []int{-1, 5}, []int{1, 1})
		}, "does not fit axis 1"},
		"slice empty": {func(b *graph.Builder, x, _ graph.Node) graph.Node {
			return b.Slice(x, []int{0, 2}, []int{-1, 2}, []int{1, 1})
		}, "does not fit axis 1"},
		"slice rank":       {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Slice(x, ints(1), ints(1), ints(1)) }, "want 2 begins"},
		"pad of the batch": {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Pad(x, []int{1, 0}, ints(2), ints(2)) }, "does not fit axis 0"},
		"pad without end": {func(b *graph.Builder, _, im graph.Node) graph.Node {
			return b.Pad(im, []int{math.MaxInt, 0, 0, 0}, ints(4), ints(4))
		}, "out of range"},
		"concat of nothing":   {func(b *graph.Builder, _, _ graph.Node) graph.Node { return b.Concat(0) }, "one operand or more"},
		"concat of batches":   {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Concat(0, x, x) }, "does not join"},
		"concat axis":         {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Concat(2, x) }, "axis 2"},
		"gather index":        {func(b *graph.Builder, x, im graph.Node) graph.Node { return b.Gather(im, x) }, "i32 index"},
		"scatter rows":        {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.ScatterAdd(x, b.ArgMax(x), 0) }, "out of range"},
		"reduce axis":         {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Sum(x, false, 2) }, "axes [2] do not fit"},
		"reduce twice":        {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Sum(x, false, 1, 1) }, "axes [1 1] do not fit"},
		"argmax of a scalar":  {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.ArgMax(b.Sum(x, false)) }, "want rank 1 or more"},
		"softmax of a scalar": {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Softmax(b.Sum(x, false)) }, "want rank 1 or more"},
		"norm vectors":        {func(b *graph.Builder, x, im graph.Node) graph.Node { y, _, _ := b.BatchNorm(im, x, x, 0); return y }, "vector 0: want f32[3]"},
		"norm of a vector": {func(b *graph.Builder, x, _ graph.Node) graph.Node {
			v := b.Sum(x, false, 0)
			y, _, _ := b.BatchNorm(v, v, v, 0)
			return y
		}, "no constant channel axis 1"},
		"layer norm":        {func(b *graph.Builder, x, im graph.Node) graph.Node { return b.LayerNorm(x, im, im, 0) }, "vector 0: want f32[4]"},
		"labels":            {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.CrossEntropy(x, x) }, "i32 labels [N]"},
		"top-k of a batch":  {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.TopKMask(1, x)[0] }, "want a constant shape"},
		"top-k of too many": {func(b *graph.Builder, _, im graph.Node) graph.Node { return b.TopKMask(151, im)[0] }, "want a k of 0 to 150, got 151"},
		"n:m axis":          {func(b *graph.Builder, _, im graph.Node) graph.Node { return b.NMMask(im, 2, 4, 1) }, "2:4 does not fit axis 1"},
		"blocks":            {func(b *graph.Builder, _, im graph.Node) graph.Node { return b.BlockMask(1, 4, im)[0] }, "blocks of 4 do not fit axis 0"},
		"keep by a float":   {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Mask(x, x) }, "mask: want bit[N 4]"},
		"uniform key":       {func(b *graph.Builder, x, _ graph.Node) graph.Node { return b.Uniform(x, 0, array.F32, nil) }, "key: want i64[2]"},
		"uniform integers": {func(b *graph.Builder, _, _ graph.Node) graph.Node {
			return b.Uniform(b.Input("key", array.I64, graph.Of(2)), 0, array.I32, nil)
		}, "want a float type"},
	} {
		t.Run(name, func(t *testing.T) {
			b := graph.NewBuilder()
			x, image := b.Input("x", array.F32, graph.Batch(4)), b.Input("image", array.F32, graph.Of(2, 3, 5, 5))
			b.Output("y", x)
			if err := b.Err(); err != nil {
				t.Fatal(err)
			}
			y := c.make(b, x, image)
			first := b.Err()
			b.Output("z", b.Exp(b.Add(y, y))) // later calls do nothing, and change nothing
			b.Output("", b.MatMul(graph.Node{}, y, true, true))
			_, err := b.Program()
			if err == nil || err != first || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "(at builder_test.go:") {
				t.Errorf("want an error with %q and a line of builder_test.go, got %v", c.says, err)
			}
			if s := b.Shape(y); s != nil {
				t.Errorf("shape of a failed node is %v, want none", s)
			}
		})
	}
}

func TestProgramWithoutResults(t *testing.T) {
	b := graph.NewBuilder()
	b.Exp(b.Input("x", array.F32, nil))
	if _, err := b.Program(); err == nil || !strings.Contains(err.Error(), "neither outputs nor updates") {
		t.Errorf("got %v", err)
	}
}

// Methods that have nothing to do add nothing.
func TestNothingToDo(t *testing.T) {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(4))
	for name, y := range map[string]graph.Node{
		"cast": b.Cast(x, array.F32), "reshape": b.Reshape(x, graph.Batch(4)), "broadcast": b.Broadcast(x, graph.Batch(4)), "flatten": b.Flatten(x, 1),
	} {
		if y != x {
			t.Errorf("%s to the same type made a new value", name)
		}
	}
	s := b.Slot(slot("s", 2))
	if b.Slot(slot("s", 2)) != s {
		t.Error("declaring a slot again made a new value")
	}
	if !(graph.Node{}).None() || x.None() {
		t.Error("None")
	}
}

func TestPrune(t *testing.T) {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Of(2))
	b.Input("unused", array.F32, graph.Of(2))
	dead := b.Exp(x)
	b.Mul(dead, b.Slot(slot("dead", 2)))
	b.Slot(slot("written", 2))
	b.Update("written", b.Neg(x))
	read := b.Slot(slot("read", 2))
	b.Output("y", b.Add(x, read))
	p := program(t, b)
	const want = `%0 f32[2] = input {name=x dtype=f32 shape=[2]}
%1 f32[2] = input {name=unused dtype=f32 shape=[2]}
%2 f32[2] = slot {name=written dtype=f32 shape=[2]}
%3 f32[2] = neg %0
%4 f32[2] = slot {name=read dtype=f32 shape=[2]}
%5 f32[2] = add %0 %4
output y %5
update written %3
`
	if got := p.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, ok := p.Slot("dead"); ok || len(p.Slots) != 2 || p.Count(graph.OpExp) != 0 {
		t.Errorf("slots %v, %d exp", p.Slots, p.Count(graph.OpExp))
	}
}

func TestText(t *testing.T) {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(3, 4, 4))
	w := b.Slot(graph.Slot{Name: "w", Role: graph.Kernel, Type: graph.Type{DType: array.F32, Shape: graph.Of(2, 3, 3, 3)}})
	m := b.TopKMask(20, w)[0]
	y := b.Conv2D(x, b.Mask(w, m), graph.ConvAttr{Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}})
	v := b.Sum(y, false, 0, 2, 3)
	norm, mean, _ := b.BatchNorm(y, v, v, 0.5)
	b.Output("y", b.MatMul(b.Flatten(norm, 1), b.Const(array.F32, 1, graph.Of(5, 8)), false, true))
	b.Output("mean", mean)
	b.Update("w", b.Scale(w, 0.25))
	const want = `%0 f32[N 3 4 4] = input {name=x dtype=f32 shape=[N 3 4 4]}
%1 f32[2 3 3 3] = slot {name=w dtype=f32 shape=[2 3 3 3]}
%2 bit[2 3 3 3] = topk_mask %1 {keep=20}
%3 f32[2 3 3 3] = keep %1 %2
%4 f32[N 2 2 2] = conv2d %0 %3 {stride=[2 2] pad=[1 1 1 1] groups=1 size=[0 0]}
%5 f32[2] = sum %4 {axes=[0 2 3] keep=false}
%6 f32[N 2 2 2], %7 f32[2], %8 f32[2] = batch_norm %4 %5 %5 {eps=0.5}
%9 f32[N 8] = reshape %6 {shape=[N 8]}
%10 f32[5 8] = const {dtype=f32 shape=[5 8] value=1}
%11 f32[N 5] = matmul %9 %10 {trans_a=false trans_b=true}
%12 f32[2 3 3 3] = scale %1 {c=0.25}
output y %11
output mean %7
update w %12
`
	if got := program(t, b).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
