// Package cpu is the backend for processors. It computes in float32 with AVX-512, AVX2 or portable
// Go; [New] chooses the instruction set.
//
//	b, err := cpu.New(cpu.Options{})
//	s, err := b.NewSession(ctx)
//	e, err := s.Compile(ctx, program, backends.Options{})
//	out, err := e.Run(ctx, in, nil)
//
// # From a program to a run
//
// Compile lowers the program to steps (lower.go). It chooses the layout of every value, row-major
// or blocks of 16 channels, and inserts a reorder where an op reads a value in the other layout. It
// fuses ops that are one pass over memory: convolution with bias and ReLU, normalization with
// addition and ReLU, chains of elementwise ops (a tape). None of this depends on the sizes of
// symbols.
//
// The first run with new sizes binds the steps (bind.go). A step becomes phases, loops over
// independent items with the buffers that they read and write. The schedule (schedule.go) merges
// phases that work image by image into stages. An image passes through normalization, convolution
// and the statistics of the next normalization while it is in the cache; a stage ends where a phase
// reads the whole batch. The memory plan (memory.go) gives every buffer an offset in the arena of
// the session, from the first and the last stage that use it. The executable keeps the bound
// program for later runs with the same sizes.
//
// A run computes one stage after another. The workers of the pool (pool.go) take chunks of items in
// any order. No result depends on the number of workers or on the order, because each sum has parts
// that its shape fixes, and the parts are added in a fixed order.
//
// An op is one row of the table in ops.go and one operator, a type whose method phases returns its
// loops.
//
// # Sums over a batch
//
// A sum over a batch of N items has one order: the batch is cut into eight parts of ⌈N/8⌉
// consecutive items, each part has a sum p in float32, and the result is
//
//	((p0+p1)+(p2+p3)) + ((p4+p5)+(p6+p7))
//
// The order inside a part depends on the part alone (batch.go). So two, four or eight machines that
// each have an equal share of a batch, and that add their results in this tree, get the bits of one
// machine, if N is a multiple of 8. This holds for gradients of the weights and biases of
// convolutions and linear layers, for the gradients of layer and batch norms, for sums of losses
// and for every other sum along a first axis with a symbolic size. The statistics of a batch norm
// are pairs of a mean and a variance, in float32, that the same tree combines. Three things need
// care:
//
//   - A mean is divided once, after its sum: machines exchange sums of losses. The gradient of a mean
//     is divided before the sum: machines divide their sum by their number, which is exact.
//   - A machine with an equal share of a batch has 4, 2 or 1 of the eight parts. Only tests set this
//     number today.
//   - The gradient of an embedding (scatter_add) adds the rows in the order of the batch, not as a
//     tree, because eight tables would take too much memory.
//
// The order costs nothing that could be measured in a step of ResNet-20 (SGD, batch 128: ten runs
// of the versions without and with it, alternating, had a median user time of 4.36 s and 4.24 s
// with one thread, 4.57 s and 4.58 s with two). A small perceptron pays for it, because its
// gradients are products with an inner dimension of 16 instead of 128: a step of the model mlp took
// 20 % longer.
//
// # Memory limit
//
// Options.MemoryLimit of a compilation bounds the constants, also while they are packed, the slots
// that Compile makes, and the arena, the scratch memory and the outputs of a run. The memory that
// Compile needs for the program itself is not counted.
package cpu
