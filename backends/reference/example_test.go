package reference_test

import (
	"context"
	"fmt"
	"log"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A program that counts: each run adds its input to a slot and returns the sum so far.
func ExampleNew() {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, nil)
	total := b.Slot(graph.Slot{Name: "total", Kind: graph.Scratch, Type: graph.Type{DType: array.F32}})
	next := b.Add(total, x)
	b.Update("total", next)
	b.Output("so far", next)
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
	exe, err := session.Compile(ctx, program, backends.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range []float64{1, 2, 3.5} {
		x, _ := array.Scalar(array.F32, v)
		out, err := exe.Run(ctx, []array.Tensor{x}, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(out[0].F32()[0])
	}
	// Output:
	// 1
	// 3
	// 6.5
}
