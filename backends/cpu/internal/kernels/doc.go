// Package kernels contains the computational kernels of the CPU backend: convolution, matrix
// product, normalization, pooling, elementwise arithmetic and changes of layout. They work on
// slices of float32.
//
// # Instruction sets
//
// Most kernels are methods of [InstructionSet]. The caller chooses an instruction set once, with
// [Detect]:
//
//	isa, err := kernels.Detect()
//	isa.Add(dst, a, b)
//
// Portable is plain Go and defines the result of every kernel. AVX2 and AVX512 are assembly, which
// the nested module gen generates, and are tested against Portable. Kernels that only add,
// multiply, divide or compare give the same bits with every instruction set, because they have the
// same order of summation and no fused multiply-add. The matrix product, the convolution and
// functions like exp may round differently. On other architectures than amd64, and with the build
// tag noasm, there is Portable only.
//
// # Layout of images
//
// Images are stored as nChw16c: in blocks of 16 channels. With C channels of H rows and W columns,
// element (n, c, h, w) of a batch is at index
//
//	((n·Blocks(C) + c/16)·H·W + h·W + w)·16 + c%16
//
// A plane is one block of one image. A pixel of a plane is 16 consecutive values, called lanes, one
// for each channel of the block. For C = 20, H = 2 and W = 3, image n has two planes:
//
//	block 0: channels 0 to 15               block 1: channels 16 to 19
//
//	pixel (0,0) c0 c1 c2 … c15              pixel (0,0) c16 c17 c18 c19 0 0 … 0
//	pixel (0,1) c0 c1 c2 … c15              pixel (0,1) c16 c17 c18 c19 0 0 … 0
//	pixel (0,2) c0 c1 c2 … c15              pixel (0,2) c16 c17 c18 c19 0 0 … 0
//	pixel (1,0) c0 c1 c2 … c15              pixel (1,0) c16 c17 c18 c19 0 0 … 0
//	  …                                       …
//
// The lanes that pad the last block contain zeros. Convolution, normalization and pooling write
// zeros to the padded lanes of their results. All other tensors are row-major.
//
// # Convolution
//
// The forward pass and the input gradient of a convolution have a source image and a result image:
// x and y, or dy and dx. Their work is divided as follows:
//
//	result of one image               sum of one panel
//
//	           panel 0       panel 1      chunk 0                 chunk 1
//	          block 0   1   block 2   3   +-------+-------+---    +-------+---
//	          +-----+-----+-----+-----+   | entry | entry | …     | entry | …
//	strip 0   |rows |     |     |     |   +-------+-------+---    +-------+---
//	          +-----+-----+-----+-----+
//	strip 1   |     |     |     |     |
//	          +-----+-----+-----+-----+
//
//	strip  result rows whose source rows fit the second-level cache: for each strip they are copied
//	       to padded planes in scratch
//	panel  1, 2 or 4 consecutive blocks of 16 result channels, which are computed together
//	run    taps of the kernel that are neighbours in a row of a plane, at most 3
//	entry  one block of 16 source channels, and one run
//	chunk  entries whose packed weights fit the first-level cache
//
// The packed weights are [panel][chunk][entry][source channel][tap][block][lane]: the order in
// which the inner loops read them. For an entry of a run of 3 taps in a panel of 2 blocks, with the
// 16 weights of a block in each field:
//
//	channel 0                                           channel 1
//	tap 0           tap 1           tap 2               tap 0           …
//	+-------+-------+-------+-------+-------+-------+   +-------+-------+
//	|block 0|block 1|block 0|block 1|block 0|block 1|   |block 0|block 1| …
//	+-------+-------+-------+-------+-------+-------+   +-------+-------+
//
// A band is the rows of one strip, for one panel and one chunk. It is one call of the inner loops,
// which add the terms of the chunk to the result. A tile is consecutive pixels of one row of a
// band. Its sums are in registers, one vector of 16 lanes for each pixel and block:
//
//	band of 2 rows                      tile of 4 pixels and 2 blocks
//
//	     +------+------+------+                   q=0  q=1  q=2  q=3
//	y=0  | tile | tile | tile |         block 0   sum  sum  sum  sum
//	     +------+------+------+         block 1   sum  sum  sum  sum
//	y=1  | tile | tile | tile |
//	     +------+------+------+
//
//	sum[q][block] += source pixel q+t, channel c  ·  weights of channel c, tap t, block
//
// The weight gradient has the same strips, planes, panels and runs. Its sums in registers are
// weights: it multiplies the pixels of x with those of dy, and has no packed weights. The comments
// of convBand, convGradTile and convPlanes contain the formulas.
//
// # Contract
//
// Kernels start no goroutines, and allocate nothing unless their comments state it. A caller splits
// the work into disjoint ranges of the result. A sum that is split over workers is split into
// chunks that depend on the shape only, and the sums of the chunks are added in order, so a result
// depends on neither timing nor the number of workers.
//
// Kernels do not check shapes: the backend checks them when it compiles a program. A slice that is
// too short for its shape fails a bounds check before any assembly runs. In elementwise kernels,
// and in kernels whose comments state it, the destination may be the same slice as a source. Slices
// that overlap in part are not allowed.
package kernels

//go:generate go run -C gen . ..
