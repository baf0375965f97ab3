package graph_test

import (
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk/graph"
)

func ExampleTensor_Encode() {
	t, err := graph.FromF32([]float32{0, 3, 0, 0, -1, 0, 0, 0}, 2, 4)
	if err != nil {
		log.Fatal(err)
	}
	v, err := t.Encode(graph.Bitmask)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d elements, index %08b, %d bytes\n", v.Stored(), v.Len(), v.Index, v.Bytes())
	back, err := v.Decode()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(back.F32())
	// Output:
	// 2 of 8 elements, index [00010010], 9 bytes
	// [0 3 0 0 -1 0 0 0]
}

func ExampleTensor_EncodeNM() {
	t, err := graph.FromF32([]float32{0, 3, 0, 5, -1, 0, 0, 0}, 2, 4)
	if err != nil {
		log.Fatal(err)
	}
	v, err := t.EncodeNM(2, 4, 1) // two of each four along axis 1, at two bits each
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d elements, %d byte of index\n", v.Stored(), len(v.Index))
	_, err = t.EncodeNM(1, 4, 1)
	fmt.Println(err)
	// Output:
	// 4 elements, 1 byte of index
	// graph: encode f32[2 4] as 1:4 along axis 1: the group at element 0 has 2 that are not zero
}

func ExampleProgram_Encode() {
	b := graph.NewBuilder()
	x := b.Input("x", graph.F32, graph.Batch(2))
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
