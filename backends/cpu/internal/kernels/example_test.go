package kernels_test

import (
	"fmt"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
)

// The caller chooses an instruction set once, and calls the kernels as its methods.
func Example() {
	isa, err := kernels.Detect() // reads CRAM_CPU
	if err != nil {
		fmt.Println(err)
		return
	}
	a, b, sum := []float32{1, 2, 3}, []float32{10, 20, 30}, make([]float32, 3)
	isa.Add(sum, a, b)
	fmt.Println(sum)
	// Output: [11 22 33]
}

// A linear layer stores its weights as [out, in]: y = x·Wᵀ.
func ExampleInstructionSet_MatMul() {
	x := []float32{1, 2, 3} // 1 by 3
	w := []float32{1, 0, 0, 1, 1, 1}
	y := make([]float32, 2) // 1 by 2
	m := kernels.MatMul{M: 1, N: 2, K: 3, LDA: 3, LDB: 3, LDC: 2, TransB: true}
	kernels.Portable.MatMul(m, y, x, w, kernels.Floats(m.Scratch()), m.Whole())
	fmt.Println(y)
	// Output: [1 6]
}

// Batch normalization in training: first the statistics, then the normalization.
func ExampleInstructionSet_Normalize() {
	const n, c, pixels = 2, 1, 2 // images, channels, pixels
	isa := kernels.Portable
	x := kernels.Floats(n * kernels.Blocks(c) * pixels * kernels.Block)
	isa.ToBlocked(x, []float32{1, 3, 5, 7}, c, pixels, 0, n)

	planes := kernels.Planes{Blocks: kernels.Blocks(c), Pixels: pixels, From: 0, To: n * kernels.Blocks(c)}
	part := make([]float32, planes.To*kernels.MomentsPart)
	isa.Moments(part, x, planes)
	mean, variance := make([]float32, 16), make([]float32, 16)
	kernels.MergeMoments(mean, variance, part, n, planes.Blocks, pixels, 0, planes.Blocks)
	scale, beta := make([]float32, 16), make([]float32, 16)
	kernels.InvStd(scale[:c], variance, 1e-5) // gamma is 1, and 0 in the padded lanes

	isa.Normalize(x, x, nil, kernels.Affine{Mean: mean, Scale: scale, Shift: beta}, true, planes)
	y := make([]float32, n*c*pixels)
	isa.FromBlocked(y, x, c, pixels, 0, n)
	fmt.Printf("mean %v variance %v: %.3f\n", mean[0], variance[0], y)
	// Output: mean 4 variance 5: [0.000 0.000 0.447 1.342]
}
