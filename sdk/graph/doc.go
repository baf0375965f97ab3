// Package graph is the intermediate representation of cram: programs of operations on tensors,
// without control flow.
//
// A [Program] has inputs (fed to each run), slots (tensors that a backend's session keeps between
// runs: weights, running statistics, state of an optimizer), outputs, and updates (values written
// to slots at the end of a run). What varies from run to run is a choice between programs, which
// the host makes.
//
// A [Builder] makes programs. Its methods return a [Node] and no error: [Builder.Program] returns
// the first mistake, with the op, the shapes and the line of the caller.
//
//	b := graph.NewBuilder()
//	x := b.Input("x", array.F32, graph.Batch(784))
//	weights := graph.Type{DType: array.F32, Shape: graph.Of(10, 784)}
//	w := b.Slot(graph.Slot{Name: "w", Type: weights})
//	b.Output("logits", b.MatMul(x, w, false, true))
//	p, err := b.Program()
//
// [Builder.Grad] appends the gradient of a scalar, [Builder.Inline] the code of another program. An
// op is a row of a table, [Ops]: its name, its shape rule and its gradient rule. The kernel of that
// name in backends/reference defines what it computes.
//
// A dimension may be symbolic: [Batch](3, 32, 32) is (N, 3, 32, 32) for any N, and the tensors that
// a run is fed decide N. Images are NCHW and weights of convolutions OIHW; a backend may use other
// layouts inside.
//
// [Program.String] is a program as text. [Program.Verify] checks it. [Program.Encode] and [Decode]
// are its MessagePack form, which a checkpoint has, so that serving needs no code of the model.
//
// # Random numbers
//
// cram has three generators. None has a state that a checkpoint saves: every number is a function
// of a key.
//
//   - Philox in [Uniform]: random numbers in a program, such as dropout. An element is a function
//     of seed, step, stream and index, so a backend can compute elements in any order and in
//     parallel.
//   - SplitMix64 in package data: the order of examples and augmentation. There is one generator
//     per example, keyed with (seed, epoch, index). It starts in a few instructions, which matters
//     as an example needs only a few numbers.
//   - ChaCha8 in package nn: initial values. There is one generator per tensor, keyed with seed and
//     the name of the tensor, so a new layer does not change the values of others. math/rand/v2 has
//     it and fixes its sequence.
package graph
