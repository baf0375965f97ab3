package graph_test

import (
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

func ExampleProgram_Encode() {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(2))
	b.Output("y", b.Relu(x))
	p, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	bytes, err := p.Encode()
	if err != nil {
		log.Fatal(err)
	}
	q, err := graph.Decode(bytes)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(q)
	_, err = graph.Decode(bytes[:40])
	fmt.Println(err)
	// Output:
	// %0 f32[N 2] = input {name=x dtype=f32 shape=[N 2]}
	// %1 f32[N 2] = relu %0
	// output y %1
	// graph: decode program: at byte 39: a string needs 3 bytes, 1 are left
}
