package cpu_test

import (
	"context"
	"fmt"
	"log"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A linear layer whose weights live in the session.
func ExampleNew() {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(2))
	w := b.Slot(graph.Slot{Name: "w", Kind: graph.Param, Role: graph.Kernel, Type: graph.Type{DType: array.F32, Shape: graph.Of(3, 2)}})
	b.Output("y", b.Relu(b.MatMul(x, w, false, true)))
	program, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}

	backend, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Close()
	ctx := context.Background()
	session, err := backend.NewSession(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	weights, err := array.From([]float32{1, 0, 0, 1, -1, -1}, 3, 2)
	if err != nil {
		log.Fatal(err)
	}
	if err := session.Set(ctx, "w", array.DenseValue(weights)); err != nil {
		log.Fatal(err)
	}
	exe, err := session.Compile(ctx, program, backends.Options{})
	if err != nil {
		log.Fatal(err)
	}
	in, err := array.From([]float32{1, 2, 3, -4}, 2, 2)
	if err != nil {
		log.Fatal(err)
	}
	out, err := exe.Run(ctx, []array.Tensor{in}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out[0].Dims, out[0].F32())
	// Output: [2 3] [1 2 0 3 0 1]
}

// A backend with Profile measures the time of every step.
func ExampleProfiler() {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(64))
	b.Output("y", b.Softmax(b.Exp(x)))
	program, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	backend, err := cpu.New(cpu.Options{Threads: 1, Profile: true})
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Close()
	ctx := context.Background()
	session, err := backend.NewSession(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	exe, err := session.Compile(ctx, program, backends.Options{})
	if err != nil {
		log.Fatal(err)
	}
	in, err := array.New(array.F32, 32, 64)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := exe.Run(ctx, []array.Tensor{in}, nil); err != nil {
		log.Fatal(err)
	}
	steps := exe.(cpu.Profiler).Profile()
	fmt.Println(len(steps), "steps were timed")
	// Output: 2 steps were timed
}
