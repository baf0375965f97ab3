package array_test

import (
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk/array"
)

func ExampleTensor_Encode() {
	t, err := array.From([]float32{0, 3, 0, 0, -1, 0, 0, 0}, 2, 4)
	if err != nil {
		log.Fatal(err)
	}
	v, err := t.Encode(array.Bitmask)
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
	t, err := array.From([]float32{0, 3, 0, 5, -1, 0, 0, 0}, 2, 4)
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
	// array: encode f32[2 4] as 1:4 along axis 1: the group at element 0 has 2 that are not zero
}
