package kernels_test

import (
	"fmt"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
)

// A 3×3 convolution with weights 1 adds the pixels of a neighbourhood. In an image of ones the
// result is 9 inside, 6 at an edge and 4 in a corner.
func ExampleInstructionSet_ConvForward() {
	isa, err := kernels.Detect()
	if err != nil {
		fmt.Println(err)
		return
	}
	shape := kernels.ConvShape{
		C: 1, H: 3, W: 4, O: 1, KH: 3, KW: 3, StrideH: 1, StrideW: 1,
		Top: 1, Bottom: 1, Left: 1, Right: 1, Groups: 1, Planar: true,
	}
	conv, err := isa.ConvForward(shape)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, w, y := kernels.Floats(shape.InLen()), kernels.Floats(shape.WeightLen()), kernels.Floats(shape.OutLen())
	for i := range x {
		x[i] = 1
	}
	for i := range w {
		w[i] = 1
	}
	packed, scratch := kernels.Floats(conv.PackedLen()), kernels.Floats(conv.ScratchLen())
	conv.Pack(packed, w)
	conv.Compute(y, x, packed, nil, false, scratch, conv.All(1))
	for row := range shape.OutH() {
		var sums []float32
		for col := range shape.OutW() {
			sums = append(sums, y[(row*shape.OutW()+col)*kernels.Block]) // channel 0 of 16
		}
		fmt.Println(sums)
	}
	// Output:
	// [4 6 6 4]
	// [6 9 9 6]
	// [4 6 6 4]
}
