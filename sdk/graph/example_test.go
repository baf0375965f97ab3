package graph_test

import (
	"context"
	"fmt"
	"log"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A linear layer with softmax, for a batch of any size.
func ExampleBuilder() {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(3))
	w := b.Slot(graph.Slot{Name: "w", Role: graph.Kernel, Type: graph.Type{DType: array.F32, Shape: graph.Of(2, 3)}})
	b.Output("p", b.Softmax(b.MatMul(x, w, false, true)))
	program, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(program)
	// Output:
	// %0 f32[N 3] = input {name=x dtype=f32 shape=[N 3]}
	// %1 f32[2 3] = slot {name=w dtype=f32 shape=[2 3]}
	// %2 f32[N 2] = matmul %0 %1 {trans_a=false trans_b=true}
	// %3 f32[N 2] = softmax %2
	// output p %3
}

// Mistakes surface once, with the shapes and the line that made them.
func ExampleBuilder_Program() {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(3))
	y := b.Add(x, b.Const(array.F32, 1, graph.Of(4)))
	b.Output("y", b.Exp(y))
	_, err := b.Program()
	fmt.Println(err)
	// Output: graph: add: shapes [N 3] and [4] do not broadcast (at example_test.go:37)
}

// One step of gradient descent on (w - 3)², as a program that updates its slot.
func ExampleBuilder_Grad() {
	b := graph.NewBuilder()
	w := b.Slot(graph.Slot{Name: "w", Type: graph.Type{DType: array.F64}})
	off := b.Shift(w, -3)
	loss := b.Mul(off, off)
	g := b.Grad(loss, w)[0]
	b.Update("w", b.Sub(w, b.Scale(g, 0.25)))
	b.Output("loss", loss)
	program, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	session, err := reference.New().NewSession(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	step, err := session.Compile(ctx, program, backends.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for range 4 {
		out, err := step.Run(ctx, nil, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(out[0].F64()[0])
	}
	// Output:
	// 9
	// 2.25
	// 0.5625
	// 0.140625
}

// Extents may be symbols, solved from what is fed at each run.
func ExampleShape() {
	images := graph.Batch(3, 32, 32)
	fmt.Println(images, images.Size())

	tokens := graph.Shape{graph.Sym("N"), graph.Sym("T"), {C: 64}}
	fmt.Println(tokens, tokens.Size())

	dims, err := tokens.Bind(graph.Sizes{"N": 2, "T": 7})
	fmt.Println(dims, err)
	// Output:
	// [N 3 32 32] 3072*N
	// [N T 64] 64*N*T
	// [2 7 64] <nil>
}

// The table of ops is data: what a backend must run, and what each op means.
func ExampleOps() {
	for _, d := range graph.Ops() {
		if d.Op == graph.OpRelu || d.Op == graph.OpTopKMask {
			fmt.Printf("%s: %s (differentiable: %v)\n", d.Op, d.Doc, d.Differentiable())
		}
	}
	// Output:
	// relu: y = max(x, 0), NaN where x is NaN (differentiable: true)
	// topk_mask: bit masks of the k largest |w| over all operands together; ties by lowest index, operands in order (differentiable: false)
}

// Fed tensors decide the symbols of a program.
func ExampleProgram_Bind() {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(2))
	b.Output("y", b.Neg(x))
	program, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	three, err := array.From([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(program.Bind([]array.Tensor{three}))
	flat, err := array.From([]float32{1, 2, 3})
	if err != nil {
		log.Fatal(err)
	}
	_, err = program.Bind([]array.Tensor{flat})
	fmt.Println(err)
	// Output:
	// map[N:3] <nil>
	// graph: input "x": want shape [N 2], got [3]
}
